import { afterEach, describe, expect, test } from '@jest/globals';
import { runInSandbox, type SandboxJob } from '@kadre/sandbox';
import { jobOf, outcomeOf } from './jobs.ts';
import { startSandboxRunner, type RunningSandbox } from '../../support/sandbox-runner.ts';

let sandbox: RunningSandbox | undefined;
afterEach(async () => sandbox?.stop());

async function run(job: SandboxJob) {
  const place = (sandbox = await startSandboxRunner());
  return outcomeOf((onOutput) => runInSandbox(place, job, { signal: AbortSignal.timeout(60_000), onOutput }));
}

describe('a program', () => {
  test.each([
    [
      'python',
      `import json, os, sys
given = json.load(open(os.environ['KADRE_INPUT']))
json.dump({'sum': sum(given)}, open(os.environ['KADRE_OUTPUT'], 'w'))
print(open('notes/a.txt').read()); print('careful', file=sys.stderr)
open('result.txt', 'w').write('done')
sys.exit(3)`,
    ],
    [
      'javascript',
      `import { readFileSync, writeFileSync } from 'node:fs';
const given = JSON.parse(readFileSync(process.env.KADRE_INPUT, 'utf8'));
writeFileSync(process.env.KADRE_OUTPUT, JSON.stringify({ sum: given.reduce((a, b) => a + b) }));
console.log(readFileSync('notes/a.txt', 'utf8')); console.error('careful');
writeFileSync('result.txt', 'done');
process.exit(3);`,
    ],
    [
      'shell',
      `n=$(tr -d '[] ' <"$KADRE_INPUT" | tr ',' '+')
echo "{\\"sum\\": $((n))}" >"$KADRE_OUTPUT"
cat notes/a.txt; echo; echo careful >&2
printf done >result.txt
exit 3`,
    ],
  ] as const)('in %s reads its input and files, and hands back what it writes', async (language, source) => {
    const files = [{ path: 'notes/a.txt', text: 'from a file' }];
    const { end, stdout, stderr } = await run(jobOf(source, { language, input: [1, 2, 39], files }));
    expect(end).toMatchObject({ reason: 'Exited', exitCode: 3, output: { sum: 42 }, leftOut: [] });
    expect(end.files).toEqual([{ path: 'result.txt', text: 'done' }]);
    expect({ stdout, stderr }).toEqual({ stdout: 'from a file\n', stderr: 'careful\n' });
  });
});
