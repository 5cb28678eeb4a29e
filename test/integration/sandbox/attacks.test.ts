// Code that does what it should not, against the real runner. On a cluster a pod is around it as well; what is shown here
// holds without one.
import { afterEach, describe, expect, test } from '@jest/globals';
import { SandboxFailure, runInSandbox, type SandboxEnd, type SandboxJob } from '@kadre/sandbox';
import { startSandboxRunner, type RunningSandbox } from '../../support/sandbox-runner.ts';
import { jobOf, outcomeOf, type Outcome } from './jobs.ts';
import { isAlive } from './processes.ts';

let sandbox: RunningSandbox | undefined;
afterEach(async () => {
  await sandbox?.stop();
  sandbox = undefined;
});

async function run(job: SandboxJob): Promise<Outcome> {
  const place = (sandbox = await startSandboxRunner());
  return outcomeOf((onOutput) => runInSandbox(place, job, { signal: AbortSignal.timeout(60_000), onOutput }));
}

const MIB = 1024 * 1024;

describe('a program that goes too far is stopped, and it is told why', () => {
  test.each<[string, SandboxJob, SandboxEnd['reason']]>([
    ['a fork bomb', jobOf(':(){ :|:& };:; sleep 100', { language: 'shell' }), 'ProcessesExceeded'],
    [
      'many processes at rest',
      jobOf('import os\nwhile os.fork(): pass\nimport time; time.sleep(100)'),
      'ProcessesExceeded',
    ],
    ['10 GB of memory', jobOf("x = b'x' * (10 << 30)"), 'MemoryExceeded'],
    [
      'memory in many processes',
      jobOf('import os, time\nfor _ in range(5): os.fork() or (b"x" * (100 << 20), time.sleep(100))\ntime.sleep(100)', {
        limits: { processes: 100 },
      }),
      'MemoryExceeded',
    ],
    [
      'shared memory',
      jobOf("import mmap\nm = mmap.mmap(-1, 1 << 30)\nwhile True: m.write(b'x' * 4096)"),
      'MemoryExceeded',
    ],
    ['endless output', jobOf('yes', { language: 'shell' }), 'OutputExceeded'],
    ['endless output on stderr', jobOf('yes >&2', { language: 'shell' }), 'OutputExceeded'],
    ['an endless loop', jobOf('while True: pass', { limits: { timeoutMs: 300 } }), 'TimedOut'],
    [
      'a program that hears no signal',
      jobOf(
        'import signal\nfor n in range(1, 32):\n  try: signal.signal(n, signal.SIG_IGN)\n  except OSError: pass\nwhile True: pass',
        {
          limits: { timeoutMs: 300 },
        },
      ),
      'TimedOut',
    ],
    ['a stopped program', jobOf('kill -STOP $$', { language: 'shell', limits: { timeoutMs: 300 } }), 'TimedOut'],
    [
      'one file that is too big',
      jobOf('exec dd if=/dev/zero of=x bs=1M count=100 status=none', { language: 'shell', limits: { fileBytes: MIB } }),
      'FilesExceeded',
    ],
    [
      'files that are too big together',
      jobOf('for i in $(seq 500); do head -c 1000000 /dev/zero >$i; done; sleep 100', {
        language: 'shell',
        limits: { fileBytes: 50 * MIB },
      }),
      'FilesExceeded',
    ],
    [
      'too many files',
      jobOf('import time\nfor i in range(12000): open(str(i), "w")\ntime.sleep(100)'),
      'FilesExceeded',
    ],
    [
      'folders that are too deep',
      jobOf('import os, time\nfor i in range(1000): os.mkdir("a"); os.chdir("a")\ntime.sleep(100)'),
      'FilesExceeded',
    ],
  ])('%s', async (_what, job, reason) => {
    const { end } = await run(job);
    expect(end).toMatchObject({ reason });
    expect(end.exitCode).toBeUndefined();
    expect(await sandbox?.over).toBe(0);
  });
});

const PRELUDE = `import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
runner = os.getppid()
x86 = platform.machine() == 'x86_64'
numbers = {'ptrace': (101, 117), 'process_vm_readv': (310, 270), 'unshare': (272, 97), 'mount': (165, 40), 'prlimit64': (302, 261), 'sched_setaffinity': (203, 122), 'setpriority': (141, 140)}
def refused(name, *arguments):
  ctypes.set_errno(0)
  assert libc.syscall(numbers[name][0 if x86 else 1], *arguments) == -1 and ctypes.get_errno() == errno.EPERM, (name, ctypes.get_errno())
def fails(act):
  try: act()
  except OSError: return
  raise AssertionError('it could')`;

describe('a program cannot', () => {
  const refused = (name: string, source: string) => [name, source] as const;
  test.each([
    refused(
      'open a socket of any family but AF_UNIX',
      `import socket
for family in range(64):
  for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
    try: socket.socket(family, kind); assert family == 1, family
    except PermissionError: assert family != 1, family
socket.socketpair()`,
    ),
    refused('read what the runner was started with', `fails(lambda: open(f'/proc/{runner}/environ').read())`),
    refused(
      'read the memory of the runner, or its files',
      `fails(lambda: open(f'/proc/{runner}/mem', 'rb')); fails(lambda: os.listdir(f'/proc/{runner}/fd'))`,
    ),
    refused(
      'trace other processes',
      `refused('ptrace', 16, runner, 0, 0); refused('process_vm_readv', runner, 0, 0, 0, 0, 0)`,
    ),
    refused(
      'make namespaces',
      `for flags in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000): refused('unshare', flags)`,
    ),
    refused('make namespaces with clone', `assert libc.syscall(56 if x86 else 220, 0x10000011, 0, 0, 0, 0) == -1`),
    refused(
      'bind the runner, or slow it down',
      `refused('prlimit64', runner, 7, ctypes.byref((ctypes.c_ulong * 2)(0, 0)), 0); refused('sched_setaffinity', runner, 8, b'\\x01' + bytes(7))
refused('setpriority', 0, runner, 19); refused('setpriority', 2, 0, 19)
os.nice(1); __import__('resource').setrlimit(7, (64, 64)); os.sched_setaffinity(0, os.sched_getaffinity(0))`,
    ),
    refused('mount', `refused('mount', b'none', b'/tmp', b'tmpfs', 0, 0)`),
    refused(
      'use io_uring',
      `assert libc.syscall(425, 1, 0) == -1 and ctypes.get_errno() == errno.ENOSYS, ctypes.get_errno()`,
    ),
    refused(
      'use the calls of another ABI',
      `child = os.fork()
if child == 0: libc.syscall(0x40000000 + 39 if x86 else 220); os._exit(0)
assert not x86 or os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -31`,
    ),
    refused(
      'write outside of its folders',
      `for path in ('/x', '/usr/x', '/etc/x', '/proc/sys/kernel/core_pattern'): fails(lambda: open(path, 'w'))`,
    ),
    refused(
      'see variables that it was not given',
      `assert set(os.environ) <= {'PATH', 'HOME', 'TMPDIR', 'LANG', 'LC_CTYPE', 'MALLOC_ARENA_MAX', 'KADRE_OUTPUT'}, os.environ`,
    ),
    refused(
      'use files that the runner has open',
      `assert sorted(map(int, os.listdir('/proc/self/fd')))[:3] == [0, 1, 2] and len(os.listdir('/proc/self/fd')) == 4`,
    ),
    refused('get rights back', `assert 'NoNewPrivs:\\t1' in open('/proc/self/status').read()`),
  ])('%s', async (_what, source) => {
    const { end, stderr } = await run(jobOf(`${PRELUDE}\n${source}`));
    expect(stderr).toBe('');
    expect(end).toMatchObject({ reason: 'Exited', exitCode: 0 });
  });
});

describe('what a program leaves behind', () => {
  test('is killed with it, also what has made itself a daemon', async () => {
    const { end, stdout } = await run(
      jobOf(
        `import os, sys, time
if os.fork() == 0:
  os.setsid()
  if os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(1000)
  os._exit(0)
os.wait(); time.sleep(0.2)`,
      ),
    );
    expect(end).toMatchObject({ reason: 'Exited', exitCode: 0 });
    expect(Number(stdout)).toBeGreaterThan(1);
    expect(isAlive(Number(stdout))).toBe(false);
  });

  test('is handed back only if it is an ordinary file within bounds, under a name that shows what it is', async () => {
    const { end } = await run(
      jobOf(
        `import os
open('good.txt', 'w').write('fine'); open('data.bin', 'wb').write(bytes(range(256)))
os.mkdir('deep'); open('deep/ü.txt', 'w').write('ü')
os.symlink('/etc/passwd', 'link.txt'); os.symlink('/etc', 'folder'); os.mkfifo('pipe')
open('line\\nbreak.txt', 'w'); open('esc\\x1b[2J', 'w'); open('back\\\\slash', 'w'); open('txt.\\u202egpj', 'w')
open(b'\\xff\\xfe', 'w'); open('huge', 'w').truncate(9 << 20)
open('shut', 'w').write('x'); os.chmod('shut', 0)`,
      ),
    );
    expect(end.files).toEqual([
      { path: 'data.bin', base64: Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('base64') },
      { path: 'deep/ü.txt', text: 'ü' },
      { path: 'good.txt', text: 'fine' },
    ]);
    expect(end.leftOut.map(({ path }) => path).sort()).toEqual(
      [
        '??',
        'back?slash',
        'esc?[2J',
        'folder',
        'huge',
        'line?break.txt',
        'link.txt',
        'pipe',
        'shut',
        'txt.?gpj',
      ].sort(),
    );
  });

  test('beyond a hundred files is left out', async () => {
    const { end } = await run(jobOf('for i in range(150): open(f"{i:03}", "w")'));
    expect(end.files).toHaveLength(100);
    expect(end.leftOut).toHaveLength(50);
  });

  test.each([
    ['no JSON', `f.write('{')`],
    ['NaN', `f.write('[NaN]')`],
    ['nesting without end', `f.write('[' * 100000)`],
    ['too long', `f.write('"' + 'x' * 2000000 + '"')`],
    ['a link', `os.unlink(f.name); os.symlink('/etc/passwd', f.name)`],
    ['a pipe', `os.unlink(f.name); os.mkfifo(f.name)`],
  ])('as its output, though it is %s, is reported and not believed', async (_what, write) => {
    const { end } = await run(jobOf(`import os\nwith open(os.environ['KADRE_OUTPUT'], 'w') as f:\n  ${write}`));
    expect(end).toMatchObject({ reason: 'Exited', exitCode: 0, outputProblem: expect.any(String) });
    expect(end.output).toBeUndefined();
  });
});

describe('the runner', () => {
  test('that its program kills is a failure that says so, and takes the program with it', async () => {
    const place = (sandbox = await startSandboxRunner());
    const job = jobOf('import os, time\nprint(os.getpid(), flush=True)\nos.kill(os.getppid(), 9)\ntime.sleep(1000)');
    const failed = runInSandbox(place, job, { signal: AbortSignal.timeout(60_000) });
    await expect(failed).rejects.toMatchObject({ name: SandboxFailure.name, fault: 'Died', mayHaveRun: true });
  });

  test('ends its program when nobody waits for it any more', async () => {
    const place = (sandbox = await startSandboxRunner());
    const left = new AbortController();
    let pid = 0;
    const onOutput = (piece: object) => {
      pid = Number(Object.values(piece)[0]);
      left.abort(new Error('given up'));
    };
    const job = jobOf('import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(1000)');
    await expect(runInSandbox(place, job, { signal: left.signal, onOutput })).rejects.toThrow('given up');
    expect(await place.over).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });

  test('that is told to go stops its program and says so', async () => {
    const place = (sandbox = await startSandboxRunner());
    const onOutput = () => process.kill(place.pid, 'SIGTERM');
    const job = jobOf('import time\nprint("here", flush=True)\ntime.sleep(1000)');
    const end = await runInSandbox(place, job, { signal: AbortSignal.timeout(60_000), onOutput });
    expect(end.reason).toBe('Cancelled');
  });

  test('refuses to run as root', async () => {
    if (process.getuid?.() !== 0) return;
    await expect(startSandboxRunner('key', 0)).rejects.toThrow('ended with code 3');
  });
});
