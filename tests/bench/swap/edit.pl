#!/usr/bin/perl
# edit.pl: from saving a stage's source to its first item, under `pcrun --watch`: what an author waits for.
#
# `./dev bench edit-to-live` runs it with PCRUN and the plugins of the build. A graph of gen -> ./say.c ->
# print is watched; 30 times another word is saved (a new file, moved over the old one), and the clock
# stops when the word comes out. The compiler is called through a program that notes how long it took:
# the rest is pcrun's own part, of which 20 ms are the quiet time that it waits for a writer to end.
use strict;
use warnings;
use File::Temp 'tempdir';
use Time::HiRes qw(time sleep);

my $times = $ARGV[0] // 30;
my $dir = tempdir(CLEANUP => 1);
chdir $dir or die;
$ENV{XDG_RUNTIME_DIR} = $ENV{XDG_CACHE_HOME} = $dir;
my $cc = $ENV{CC} // 'cc';
put('timed.c', <<"END");
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}
int main(int argc, char **argv)
{
	long long begun = now_us();
	pid_t child = vfork();
	int status = 1, out;

	(void)argc;
	if (child == 0) {
		argv[0] = "$cc";
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(child, &status, 0);
	out = open("$dir/compiled", O_WRONLY | O_APPEND | O_CREAT, 0666);
	dprintf(out, "%lld\\n", now_us() - begun);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
END
system($cc, '-O1', '-static', '-o', 'cc', 'timed.c') == 0 or die;
$ENV{CC} = "$dir/cc";

sub put {
	my ($name, $text) = @_;
	open my $f, '>', "$name.new" or die "$name: $!";
	print $f $text;
	close $f;
	rename "$name.new", $name or die;
}

sub stage {
	my ($word) = @_;
	put('say.c', <<"END");
#include <pcrun/stage.h>
struct say { uint64_t n; };
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct say *s = state;
	(void)item;
	s->n++;
	return pc_emit_copy(st, 0, "$word", sizeof("$word") - 1);
}
static const struct pc_port in[] = {{"in", "*", 0, "any"}};
static const struct pc_port out[] = {{"out", "text/line", 0, "a word"}};
PC_STAGE(.name = "say", .doc = "say a word", PC_INPUTS(in), PC_OUTPUTS(out), PC_STATE(struct say),
	.process = process);
END
}

# Seconds until the word is there.
my ($out, $rest) = (undef, '');
sub wait_for {
	my ($word) = @_;
	my $begun = time;
	while (time < $begun + 30) {
		if (sysread($out, my $more, 1 << 16)) {
			$rest .= $more;
			return time - $begun if $rest =~ /^\Q$word\E$/m;
			$rest =~ s/.*\n//s;
		} else {
			sleep 0.0002;
		}
	}
	die "the word $word does not come";
}

sub row {
	my ($what, $goal, @ms) = @_;
	@ms = sort { $a <=> $b } @ms;
	printf "%-32s %8.1f ms median %8.1f ms worst   goal: %s\n", $what, $ms[@ms / 2], $ms[-1], $goal;
}

stage('word0');
put('graph.txt', "gen(rate=5k) -> ./say.c -> print\n");
my $pid = fork // die;
if (!$pid) {
	open STDOUT, '>', 'out' or die;
	open STDERR, '>', 'err' or die;
	exec $ENV{PCRUN} // 'pcrun', '--watch', 'graph.txt' or die;
}
sleep 0.01 until -e 'out';
open $out, '<', 'out' or die;
wait_for('word0');
sleep 0.5;
unlink 'compiled';
my (@all, @own);
for my $i (1 .. $times) {
	stage("word$i");
	push @all, 1000 * wait_for("word$i");
	sleep 0.2;
}
kill 'INT', $pid;
waitpid $pid, 0;
open my $f, '<', 'compiled' or die "the compiler was not called by \$CC";
my @compiled = map { $_ / 1000 } <$f>;
die "compiled " . @compiled . " times" if @compiled != $times;
row('edit to live', '<= 120', @all);
row('  of which the compiler', '', @compiled);
row('  of which pcrun', '<= 30', map { $all[$_] - $compiled[$_] } 0 .. $#all);
