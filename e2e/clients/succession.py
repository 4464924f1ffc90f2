"""A gateway that hands over to another process of its own, again and again."""

import contextlib
import ctypes
import os
import signal
import time

import gateway
from wire import PATIENCE

PR_SET_CHILD_SUBREAPER = 36


class Succession(gateway.Gateway):
    """Started over a link, in whose place a test may put another program."""

    def __init__(self, ingress, smtp_port=25, waits_for=None, **settings):
        # Whoever is left by its parent becomes our child, so that we learn how it ended.
        assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        self.waits_for = waits_for
        super().__init__(ingress, smtp_port, **settings)
        self.pid, self.ended = self.process.pid, {}

    def start(self):
        """Runs the program by a name that stands in this gateway's own folder."""
        self.link = os.path.join(self.dir, "narthexd")
        os.symlink(gateway.BINARY, self.link)
        command, stderr = self.started
        self.started = [self.link if part == gateway.BINARY else part for part in command], stderr
        return super().start()

    def wait(self):
        if self.waits_for:
            self.written, self.port = self.port, self.waits_for  # the port that somebody else has opened
        self.until(lambda: '"message":"serving https"' in self.logged() or self.process.poll() is not None)
        super().wait()

    def install(self, program):
        """Puts another program in the place of the one that runs."""
        os.symlink(program, self.link + ".new")
        os.rename(self.link + ".new", self.link)

    def holder(self):
        """The process that has the data directory."""
        with open(os.path.join(self.data, "store.lock")) as file:
            return int(file.read() or self.pid)

    def hand_over(self):
        """Starts the program again in place of the process that runs, and returns once the new one serves."""
        said = self.logged().count('"handed over;')
        os.kill(self.pid, signal.SIGUSR2)
        self.until(lambda: self.logged().count('"handed over;') > said)
        self.pid = self.holder()
        return self.pid

    def until(self, enough, patience=6 * PATIENCE):
        deadline = time.monotonic() + patience
        while not enough():
            assert time.monotonic() < deadline, self.logged()[-4000:]
            time.sleep(0.01)

    def exit_code(self, pid):
        """How a process ended; `None` while it lives."""
        if pid not in self.ended:
            if pid == self.process.pid:
                self.ended[pid] = self.process.poll()
            else:
                found, status = 0, 0
                with contextlib.suppress(ChildProcessError):  # the child of one that lives, until that one ends
                    found, status = os.waitpid(pid, os.WNOHANG)
                self.ended[pid] = os.waitstatus_to_exitcode(status) if found else None
            if self.ended[pid] is None:
                return self.ended.pop(pid)
        return self.ended[pid]

    def stop(self):
        """Ends the process that serves, and waits for those before it."""
        if self.pid == self.process.pid:
            return super().stop()
        if self.exit_code(self.pid) is None:
            os.kill(self.pid, signal.SIGTERM)
        self.until(lambda: self.exit_code(self.pid) is not None)
        self.until(lambda: self.exit_code(self.process.pid) is not None)
        super().stop()
        return self.ended[self.pid]
