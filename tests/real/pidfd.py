"""Signals through descriptors from Python, siginfo None: prints what each call came to."""
import errno
import os
import signal


def send(what, fd, sig, *more):
    try:
        print(what, signal.pidfd_send_signal(fd, sig, *more), flush=True)
    except OSError as error:
        print(what, errno.errorcode[error.errno], flush=True)


def paused():
    """A child that waits for a signal, and a pidfd of it."""
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    return pid, os.pidfd_open(pid)


def to_child():
    pid, fd = paused()
    send("probe", fd, 0)
    send("stop", fd, signal.SIGSTOP, None)
    print("stopped by", os.WSTOPSIG(os.waitpid(pid, os.WUNTRACED)[1]))
    send("continue", fd, signal.SIGCONT, None, 0)
    send("no such flag", fd, signal.SIGTERM, None, 1 << 30)
    send("terminate", fd, signal.SIGTERM, None, 0)
    print("terminated by", os.WTERMSIG(os.waitpid(pid, 0)[1]))
    send("reaped", fd, signal.SIGTERM)


def to_self():
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    send("self", os.open("/proc/self", os.O_DIRECTORY), signal.SIGUSR1)
    print("seen", seen)
    send("self, no such signal", os.open("/proc/self", os.O_DIRECTORY), 1000)


def to_others():
    send("not open", 999, signal.SIGTERM)
    send("a file", os.open("/dev/null", os.O_RDONLY), signal.SIGTERM)
    send("another procfs directory", os.open("/proc/sys", os.O_DIRECTORY), 0)
    if os.getuid() != 0:
        return
    pid, fd = paused()
    sender = os.fork()
    if sender == 0:
        os.setresuid(65534, 65534, 65534)
        send("not ours", fd, signal.SIGTERM)
        os._exit(0)
    os.waitpid(sender, 0)
    send("kill", fd, signal.SIGKILL)
    print("killed by", os.WTERMSIG(os.waitpid(pid, 0)[1]))


to_child()
to_self()
to_others()
