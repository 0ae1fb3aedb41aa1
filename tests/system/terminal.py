#!/usr/bin/env python3
"""terminal.py: a terminal for test-terminal.sh: runs a command on it, and writes down what is on its screen.

    terminal.py COLUMNS SCREEN COMMAND...      the steps are lines of standard input:

    until REGEX     wait for a line of the screen that matches (two minutes at most)
    gone REGEX      … for no line to match
    resize COLUMNS  as when a window is made smaller or larger; lines are wrapped anew, as most terminals do
    show NAME       the screen as it is now, into a file of this name
    send TEXT       typed (\\x03 is ^C)
    run COMMAND     in a shell, elsewhere

After the last step the command's end is waited for. SCREEN is then what was left on the screen and above it, and
SCREEN.raw what was written to the terminal. Exits as the command did, 125 when a step fails.

It knows what pcrun uses: \\r, \\n, erasing to the end of line or screen, up, index, save and restore, colours; and of
shells \\b and modes, which it passes over. Any other sequence becomes visible as <ESC>.
"""
import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

LIMIT_S = float(os.environ.get('TERMINAL_LIMIT', 120))


class Screen:
    """Lines of any length, shown in rows of `width`; the cursor is a place in a line."""

    def __init__(self, width):
        self.width, self.lines, self.line, self.at = width, [[]], 0, 0
        self.saved, self.rest = (0, 0), ''

    def column(self):
        """A line that fills its row leaves the cursor on its last column until more comes."""
        full = self.at > 0 and self.at % self.width == 0 and self.at >= len(self.lines[self.line])
        return self.width - 1 if full else self.at % self.width

    def begin(self):
        full = self.at > 0 and self.at % self.width == 0 and self.at >= len(self.lines[self.line])
        return self.at - self.width if full else self.at - self.at % self.width

    def down(self, column):
        begin = self.begin() + self.width
        if begin < len(self.lines[self.line]):
            self.at = begin + column
            return
        self.line += 1
        if self.line == len(self.lines):
            self.lines.append([])
        self.at = column

    def up(self):
        column, begin = self.column(), self.begin()
        if begin > 0:
            self.at = begin - self.width + column
        elif self.line > 0:
            self.line -= 1
            rows = max(len(self.lines[self.line]) - 1, 0) // self.width
            self.at = rows * self.width + column

    def put(self, char):
        line = self.lines[self.line]
        while len(line) < self.at:
            line.append(' ')
        line[self.at:self.at + 1] = [char]
        self.at += 1

    def erase_row(self):
        line = self.lines[self.line]
        end = self.begin() + self.width
        if len(line) <= end:
            del line[self.at:]
        else:
            line[self.at:end] = ' ' * (end - self.at)

    def sequence(self, text):
        """How long the escape sequence at the begin of `text` is; 0: more has to come."""
        if len(text) < 2:
            return 0
        if text[1] == 'D':
            self.down(self.column())
        elif text[1] == '7':
            self.saved = (self.line, self.at)
        elif text[1] == '8':
            self.line, self.at = self.saved
        elif text[1] == '[':
            match = re.match(r'\x1b\[([0-9;?]*)([@-~])', text)
            if not match:
                return 0 if re.fullmatch(r'\x1b\[[0-9;?]*', text) else self.unknown()
            if match[0] in ('\x1b[K', '\x1b[J'):
                self.erase_row()
                if match[0] == '\x1b[J':
                    del self.lines[self.line][self.at:]
                    del self.lines[self.line + 1:]
            elif match[0] == '\x1b[A':
                self.up()
            elif match[2] not in 'mhl':
                return self.unknown()
            return len(match[0])
        else:
            return self.unknown()
        return 2

    def unknown(self):
        for char in '<ESC>':
            self.put(char)
        return 1

    def feed(self, text):
        text = self.rest + text
        while text:
            n = 1
            if text[0] == '\x1b':
                n = self.sequence(text)
                if n == 0:
                    break
            elif text[0] == '\r':
                self.at = self.begin()
            elif text[0] == '\b':
                self.at -= self.column() > 0
            elif text[0] == '\n':
                self.down(self.column())
            elif text[0] >= ' ':
                self.put(text[0])
            text = text[n:]
        self.rest = text

    def text(self):
        return ''.join(''.join(line).rstrip() + '\n' for line in self.lines).rstrip('\n') + '\n'


class Terminal:
    def __init__(self, columns, command):
        self.screen, self.raw, self.status = Screen(columns), b'', None
        self.decoder = codecs.getincrementaldecoder('utf-8')('replace')
        # Standard output may be elsewhere, which the command of a test arranges in a shell.
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            time.sleep(0.1)  # until it has its size
            os.execvp(command[0], command)
        self.resize(columns)

    def resize(self, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        self.screen.width = columns

    def read(self, seconds):
        """False: nothing came, or nothing will."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            part = os.read(self.fd, 65536)
        except OSError:
            part = b''
        if not part and self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.raw += part
        self.screen.feed(self.decoder.decode(part))
        return bool(part)

    def wait(self, what, done):
        end = time.monotonic() + LIMIT_S
        while not done():
            if time.monotonic() > end or self.status is not None:
                print('terminal.py: in vain:', what, file=sys.stderr)
                sys.stderr.write(self.screen.text())
                return False
            self.read(0.02)
        return True

    def step(self, line):
        word, _, rest = line.rstrip('\n').partition(' ')
        find = re.compile(rest, re.M).search if word in ('until', 'gone') else None
        if word == 'until':
            return self.wait(line, lambda: find(self.screen.text()))
        if word == 'gone':
            return self.wait(line, lambda: not find(self.screen.text()))
        if word == 'resize':
            self.resize(int(rest))
        elif word == 'show':
            with open(rest, 'w', encoding='utf-8') as out:
                out.write(self.screen.text())
        elif word == 'send':
            os.write(self.fd, codecs.decode(rest, 'unicode_escape').encode())
        elif word == 'run':
            return subprocess.call(['sh', '-c', rest], stdin=subprocess.DEVNULL) == 0
        else:
            return not line.strip()
        return True


def main():
    columns, screen, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    terminal = Terminal(columns, command)
    ok = all(terminal.step(line) for line in sys.stdin)
    if not ok and terminal.status is None:
        os.kill(terminal.pid, 9)
    ok &= terminal.wait('the end', lambda: not terminal.read(0.02) and terminal.status is not None) or not ok
    with open(screen, 'w', encoding='utf-8') as out:
        out.write(terminal.screen.text())
    with open(screen + '.raw', 'wb') as out:
        out.write(terminal.raw)
    if not ok:
        sys.exit(125)
    sys.exit(terminal.status if terminal.status >= 0 else 128 - terminal.status)


main()
