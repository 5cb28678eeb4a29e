// Code on one's own machine, under the real bubblewrap.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { createLaptopSandbox, type SandboxJob } from '@kadre/sandbox';
import { ensureBubblewrap } from '../../support/bubblewrap.ts';
import { eventually } from '../../support/kubectl.ts';
import { jobOf, outcomeOf } from './jobs.ts';
import { commandsOf } from './processes.ts';

beforeAll(ensureBubblewrap);

const spec = { memory: '256Mi', cpu: '500m' };
const call = { caller: { namespace: 'default' }, idempotencyKey: 'key', signal: AbortSignal.timeout(60_000) };
const host = createLaptopSandbox();
const run = (job: SandboxJob) => outcomeOf((onOutput) => host.run(spec, job, { ...call, onOutput }));

describe('a program on a laptop', () => {
  test.each([
    ['python', 'import json, os; print(6 * json.load(open(os.environ["KADRE_INPUT"])))'],
    ['javascript', 'console.log(6 * require(process.env.KADRE_INPUT))'],
    ['shell', 'echo $((6 * $(cat "$KADRE_INPUT")))'],
  ] as const)('may be in %s', async (language, source) => {
    const { end, stdout, stderr } = await run(jobOf(source, { language, input: 7 }));
    expect({ stdout, stderr, reason: end.reason, exitCode: end.exitCode }).toEqual({
      stdout: '42\n',
      stderr: '',
      reason: 'Exited',
      exitCode: 0,
    });
  });

  test('finds a system to read and nothing of whose machine it is', async () => {
    const home = JSON.stringify(homedir());
    const { stdout, stderr } = await run(
      jobOf(`import os, pwd, socket
for path in (${home}, '/home', '/root', '/var', '/run', '/sys', '/etc/passwd', '/etc/hostname', '/usr/x/..'): assert not os.path.exists(path), path
for path in ('/x', '/usr/x', '/etc/x', '/dev/x', '/opt/kadre/bin/node', '/runner/x', '/proc/sys/kernel/core_pattern'):
  try: open(path, 'a')
  except OSError: continue
  raise AssertionError(path)
assert socket.gethostname() == 'sandbox'
assert sorted(p for p in os.listdir('/proc') if p.isdigit()) == ['1', '2'], os.listdir('/proc')
open('/tmp/a', 'w'); open('/dev/shm/a', 'w'); print(os.getuid(), os.environ.get('PWD'))`),
    );
    expect({ stdout, stderr }).toEqual({ stdout: '65532 None\n', stderr: '' });
  });

  test('has no network, not even to what listens on the machine', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const { end, stderr } = await run(jobOf(`exec 3<>/dev/tcp/127.0.0.1/${port}`, { language: 'shell' }));
      expect(end).toMatchObject({ reason: 'Exited', exitCode: 1 });
      expect(stderr).toContain('Permission denied');
    } finally {
      server.close();
    }
  });

  test.each<[string, SandboxJob, string]>([
    ['a fork bomb', jobOf(':(){ :|:& };:; sleep 100', { language: 'shell' }), 'ProcessesExceeded'],
    ['too much memory', jobOf("x = b'x' * (10 << 30)"), 'MemoryExceeded'],
    ['an endless loop', jobOf('for (;;);', { language: 'javascript', limits: { timeoutMs: 500 } }), 'TimedOut'],
    [
      'too many files',
      jobOf('for i in $(seq 500); do head -c 1000000 /dev/zero >$i || sleep 100; done', {
        language: 'shell',
        limits: { fileBytes: 8 * 1024 * 1024 },
      }),
      'FilesExceeded',
    ],
  ])('is stopped at its limits: %s', async (_what, job, reason) => {
    expect((await run(job)).end).toMatchObject({ reason });
  });

  test('cannot stop its runner, which is the first process of its world', async () => {
    const { end, stdout } = await run(jobOf('kill -9 1; kill -INT 1; kill -9 -1; echo here', { language: 'shell' }));
    expect({ reason: end.reason, stdout }).toEqual({ reason: 'Exited', stdout: 'here\n' });
  });

  test('is gone when nobody waits for it any more', async () => {
    const left = new AbortController();
    const onOutput = () => left.abort(new Error('given up'));
    const job = jobOf('echo here; exec sleep 4711', { language: 'shell' });
    await expect(host.run(spec, job, { ...call, signal: left.signal, onOutput })).rejects.toThrow('given up');
    // Its number here is not the one that it has in its own world.
    expect(commandsOf().filter((command) => command.includes('4711'))).toEqual([]);
  });

  test('leaves nothing behind when it is called off while its sandbox is put up', async () => {
    // Told from those of others by a bound that nobody else has.
    const job = jobOf('', { limits: { fileBytes: 1_234_567 } });
    for (let round = 0; round < 20; round += 1) {
      const left = new AbortController();
      const running = host.run(spec, job, { ...call, signal: left.signal });
      setTimeout(() => left.abort(new Error('given up')), round);
      await running.catch(() => undefined);
    }
    const bound = String(1_234_567 + 64 * 1024 * 1024);
    await eventually(
      'an end of all of them',
      () => Promise.resolve(!commandsOf().some((one) => one.includes(bound))),
      20,
    );
  });

  test('has a sandbox of its own beside others', async () => {
    const job = jobOf('import os, time\nopen("/tmp/mine", "x"); print(os.listdir("/tmp"))');
    const both = await Promise.all([run(job), run(job)]);
    expect(both.map(({ stdout }) => stdout)).toEqual(["['mine']\n", "['mine']\n"]);
  });
});

describe('where there can be no sandbox, it is said what is missing', () => {
  test.each([
    ['bubblewrap', createLaptopSandbox({ path: '/nowhere' }), spec, 'apt-get install bubblewrap'],
    ['Linux', createLaptopSandbox({ platform: 'darwin' }), spec, 'run it on Linux'],
    ['images', host, { ...spec, image: 'mine:1' }, 'leave the image out'],
    ['runtime classes', host, { ...spec, runtimeClassName: 'gvisor' }, 'on a cluster alone'],
  ])('%s', async (_what, where, wanted, remedy) => {
    await expect(where.run(wanted, jobOf(''), call)).rejects.toMatchObject({
      fault: 'Unavailable',
      mayHaveRun: false,
      message: expect.stringContaining(remedy),
    });
  });

  test('a runner that takes no such job says why', async () => {
    const job = jobOf('', { files: [{ path: '../up', text: '' }] });
    await expect(host.run(spec, job, call)).rejects.toMatchObject({ fault: 'Refused' });
  });
});
