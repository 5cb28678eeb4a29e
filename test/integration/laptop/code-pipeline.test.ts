// examples/code-pipeline: an agent writes code, and it is taken once it is checked, tried and timed; each in a sandbox.
import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { ensureBubblewrap } from '../../support/bubblewrap.ts';
import { Laptop, startedSteps } from './kadre.ts';

let laptop: Laptop;
beforeAll(ensureBubblewrap);
beforeEach(async () => (laptop = await Laptop.open()));
afterEach(() => laptop.close());

const FILES = ['workflow', 'run'].map((name) => `examples/code-pipeline/${name}.yaml`);

async function pipeline(...agents: string[]) {
  const files = [...FILES, ...agents].flatMap((file) => ['-f', file]);
  const ended = await laptop.kadre(['run', ...files, 'run/median', '-o', 'json']);
  return { ended, result: JSON.parse(ended.stdout) as { output: unknown; failure?: { message: string } } };
}

test('what is found wrong is mended, and the code comes with a report of what was tried', async () => {
  const { ended, result } = await pipeline('examples/code-pipeline/agents.yaml');
  expect(result).toMatchObject({
    phase: 'Succeeded',
    output: {
      code: expect.stringMatching(/^def median\(numbers\):\n {4}"""/),
      milliseconds: expect.any(Number),
      report: expect.stringMatching(/^# median\n[^]*All 3 cases hold, in \d+\.\d{4} ms a call\.\n$/),
    },
  });
  const rounds = startedSteps(ended).filter((step) => step.endsWith('.generate'));
  expect(rounds).toEqual(['attempt#1.generate', 'attempt#2.generate']);
});

/** One fault in each round: none of them is taken for the code that was asked for. */
const FAULTY = `apiVersion: kadre.dev/v1alpha1
kind: Model
metadata: {name: coder}
spec:
  provider: simulated
  simulated:
    script:
      - match: '^Mend: syntax: line 1'
        reply: "import os\\ndef median(n):\\n    'Median.'\\n    return os.system('true')\\n"
      - match: '^Mend: security: imports os'
        reply: "def median(n):\\n    'Median.'\\n    return n[0]\\n"
      - reply: 'Here you are: def median(n) return n'
---
apiVersion: kadre.dev/v1alpha1
kind: Agent
metadata: {name: coder}
spec: {model: coder, instructions: Write code., serving: {}}
`;

test('what is wrong three times is not taken, and the run says why', async () => {
  const { result } = await pipeline(await laptop.manifests(FAULTY));
  expect(result).toMatchObject({
    phase: 'Failed',
    failure: {
      reason: 'Refused',
      message: expect.stringContaining(
        'what the agent wrote is not taken: test: of [[3, 1, 2]] it makes 3, not 2; test: of [[4, 1, 3, 2]] it makes 4, not 2.5',
      ),
    },
  });
});
