"""What a program may not do, whatever the container around it allows. Nothing here needs a privilege."""
import ctypes
import errno
import os
import platform
import resource
import struct

PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

libc = ctypes.CDLL(None, use_errno=True)

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Number on x86_64, number on aarch64; None where there is no such call.
SOCKETS = {"socket": (41, 198), "socketpair": (53, 199)}
CLONE = (56, 220)
# The first argument is a process, and 0 is oneself: whoever runs as the same user could set the bounds of the runner, too.
OF_ONESELF = {
    "prlimit64": (302, 261),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
}
SETPRIORITY = (141, 140)
# Its flags lie in memory, where a filter cannot look. The C library takes clone instead.
ABSENT = {
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
}
REFUSED = {
    # Other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_getfd": (438, 438),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    # Namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # Parts of the kernel that a program does not need, and that have had more than their share of holes
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "syslog": (103, 116),
    "lookup_dcookie": (212, 18),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    # Memory that is nobody's, so that the watch would not see it
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
}

NEW_NAMESPACES = 0x7E020000
X32 = 0x40000000

ALLOW = 0x7FFF0000
KILL = 0x80000000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24
AF_UNIX = 1


class Unsafe(Exception):
    """The runner is not where it may run such code."""


def guard_self() -> None:
    """Once, before anything else. Nobody who runs as the same user can look into the runner afterwards."""
    if platform.machine() not in AUDIT_ARCH:
        raise Unsafe(f"{platform.machine()} is not supported, only {' and '.join(AUDIT_ARCH)}")
    with open("/proc/self/status", encoding="ascii") as status:
        capabilities = [line.split()[1] for line in status if line.startswith(("CapEff", "CapPrm"))]
    if any(int(mask, 16) for mask in capabilities):
        raise Unsafe("it has capabilities; run it as an ordinary user, with all capabilities dropped")
    # Root of the machine can, without any capability, also from within a user namespace.
    if os.access("/proc/sys/kernel/core_pattern", os.W_OK):
        raise Unsafe("its user may change settings of the kernel; run it as an ordinary user")
    prctl(PR_SET_DUMPABLE, 0)
    # The first process of a namespace has all orphans anyway.
    if os.getpid() != 1:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def confine_program(limits: dict) -> None:
    """In the child, right before it becomes the program."""
    prctl(PR_SET_DUMPABLE, 1)
    # Where memory runs out, the kernel takes the program rather than the runner, which can then say so.
    write_quietly("/proc/self/oom_score_adj", "1000")
    os.nice(10)
    bound(resource.RLIMIT_CORE, 0)
    bound(resource.RLIMIT_NOFILE, 1024)
    bound(resource.RLIMIT_FSIZE, limits["fileBytes"])
    # Counts threads, too, of which Node alone has a dozen. The watch counts processes.
    bound(resource.RLIMIT_NPROC, max(64, 8 * limits["processes"]) if in_own_user_namespace() else 4096)
    bound(resource.RLIMIT_MEMLOCK, 64 * 1024)
    os.umask(0o077)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    install_filter()


def bound(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def in_own_user_namespace() -> bool:
    """Elsewhere all that run as this user on the machine are counted, also those of other pods."""
    with open("/proc/self/uid_map", encoding="ascii") as mapping:
        return mapping.read().split() != ["0", "0", "4294967295"]


def install_filter() -> None:
    code = b"".join(struct.pack("<HBBI", *step) for step in filter_for(platform.machine()))
    steps = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    program = Program(len(code) // 8, ctypes.addressof(steps))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))


def filter_for(machine: str) -> list:
    """Each step is (operation, jump if so, jump if not, operand)."""
    column = list(AUDIT_ARCH).index(machine)
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL),
    ]
    for calls, code in ((REFUSED, errno.EPERM), (ABSENT, errno.ENOSYS)):
        for numbers in calls.values():
            if numbers[column] is not None:
                steps += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, refusal(code))]
    for numbers in SOCKETS.values():
        steps += only_if(numbers[column], [(FIRST_ARGUMENT, AF_UNIX)], errno.EACCES)
    for numbers in OF_ONESELF.values():
        steps += only_if(numbers[column], [(FIRST_ARGUMENT, 0)], errno.EPERM)
    steps += only_if(SETPRIORITY[column], [(FIRST_ARGUMENT, 0), (SECOND_ARGUMENT, 0)], errno.EPERM)
    steps += [
        (EQUAL, 0, 3, CLONE[column]),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (ANY_BIT, 0, 1, NEW_NAMESPACES),
        (RETURN, 0, 0, refusal(errno.EPERM)),
        (RETURN, 0, 0, ALLOW),
    ]
    return steps


def only_if(number: int, arguments: list, code: int) -> list:
    """The call is allowed if its arguments are these. All of them are numbers of 32 bits."""
    tests = []
    for place, value in arguments:
        tests += [(LOAD, 0, 0, place), (EQUAL, 1, 0, value), (RETURN, 0, 0, refusal(code))]
    return [(EQUAL, 0, len(tests) + 1, number), *tests, (RETURN, 0, 0, ALLOW)]


def refusal(code: int) -> int:
    return 0x00050000 | code


def prctl(*arguments: int) -> None:
    # Variadic: what is not widened here may have rubbish in its upper half.
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:5]]
    if libc.prctl(ctypes.c_int(arguments[0]), *padded[1:]) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {arguments[0]}: {os.strerror(code)}")


def write_quietly(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError:
        pass
