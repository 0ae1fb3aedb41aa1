#!/usr/bin/perl
# talk.pl: the other side of a control socket, for test-control.sh: raw bytes, as any program sends them.
#
#   talk.pl SOCKET send TEXT     send TEXT (\n, \t, \r and \0 as in C), end the sending side, print all that comes
#   talk.pl SOCKET huge BYTES    the same with so many letters and no newline
#   talk.pl SOCKET many N TEXT   N connections at once; the answer to TEXT of the newest, and how many live
#   talk.pl SOCKET deaf N TEXT   send TEXT N times, never read, and wait to be killed
#   talk.pl SOCKET mute          connect, say nothing, and wait to be killed
use strict;
use warnings;
use Socket;

my ($path, $how, @args) = @ARGV;
$SIG{PIPE} = 'IGNORE';

sub dial {
	socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
	connect($s, sockaddr_un($path)) or do { print "connect: $!\n"; exit 1 };
	return $s;
}

sub text {
	my $t = shift;
	$t =~ s/\\n/\n/g;
	$t =~ s/\\t/\t/g;
	$t =~ s/\\r/\r/g;
	$t =~ s/\\0/\0/g;
	return $t;
}

my $s = dial();
if ($how eq 'send' || $how eq 'huge') {
	my $t = $how eq 'send' ? text($args[0]) : 'x' x $args[0];
	my $at = 0;
	while ($at < length $t) {
		my $n = syswrite($s, $t, 65536, $at);
		last unless defined $n;
		$at += $n;
	}
	shutdown($s, 1);
	my $bytes;
	print $bytes while sysread($s, $bytes, 65536);
} elsif ($how eq 'many') {
	my @all = ($s);
	push @all, dial() while @all < $args[0];
	my $last = $all[-1];
	syswrite($last, text($args[1]));
	shutdown($last, 1);
	my $bytes;
	print $bytes while sysread($last, $bytes, 65536);
} elsif ($how eq 'deaf') {
	my $t = text($args[1]);
	print "deaf\n";
	$| = 1;
	for (1 .. $args[0]) { syswrite($s, $t) or last }
	sleep 1000;
} else {
	$| = 1;
	print "mute\n";
	sleep 1000;
}
