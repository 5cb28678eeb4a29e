// `make demo`: from nothing to a finished Run on a real cluster.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { installKadre } from '../test/support/install.ts';
import { eventually, kubectlFor, ownKubectlFolder, type KubeObject, type Kubectl } from '../test/support/kubectl.ts';

const root = join(import.meta.dirname, '..');
const NAMESPACE = 'kadre-demo';

const heading = (text: string) => {
  console.log(`\n\x1b[1m▸ ${text}\x1b[0m`);
};

const kubeconfig = await installKadre(heading);
const cluster = kubectlFor(kubeconfig);
const kubectl = kubectlFor(kubeconfig, NAMESPACE);

heading(`Three agents, a model, a GPU pool and a workflow, in the namespace ${NAMESPACE}`);
await cluster.apply(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"${NAMESPACE}","labels":{
  "pod-security.kubernetes.io/enforce":"restricted"}}}`);
await applyModel(kubectl);
for (const file of ['gpu-pool', 'agents', 'workflow'])
  console.log((await kubectl.apply(await example(`article/${file}`))).trim());
await eventually('Every agent Ready', () => allReady(kubectl, 'agents'));
await eventually('The workflow Ready', () => allReady(kubectl, 'workflows'));
console.log(await kubectl.run(['get', 'agents']));
console.log(await kubectl.run(['get', 'deployments,services']));

heading('One Run');
const created = await kubectl.run(['create', '-f', '-', '-o', 'name'], await example('article/run'));
const name = created.trim().split('/')[1] ?? '';
const run = await follow(kubectl, name);
report(run);
if (run['status'].phase !== 'Succeeded') process.exit(1);

heading('Try next');
const own = ownKubectlFolder();
if (own !== undefined) console.log(`  export PATH=${own}:$PATH`);
console.log(`  export KUBECONFIG=${kubeconfig}
  kubectl -n ${NAMESPACE} get runs,agents,workflows,models
  kubectl -n ${NAMESPACE} describe run ${name}
  kubectl -n ${NAMESPACE} create -f examples/article/run.yaml        # again
  kubectl -n ${NAMESPACE} port-forward service/writer 8080:80 &       # an agent of your own to talk to
  curl localhost:8080/generate -H 'content-type: application/json' -d '{"prompt": "Hello"}'
  kubectl -n ${NAMESPACE} scale agent/writer --replicas=2
  kubectl explain workflow.spec.steps
  make clean-cluster                                                  # when you have seen enough`);

async function example(path: string): Promise<string> {
  return readFile(join(root, 'examples', `${path}.yaml`), 'utf8');
}

/** The real model whose key is at hand, else the simulated one. */
async function applyModel(kubectl: Kubectl): Promise<void> {
  const keys = [
    ['OPENAI_API_KEY', 'openai'],
    ['ANTHROPIC_API_KEY', 'anthropic'],
    ['GEMINI_API_KEY', 'google'],
  ] as const;
  const found = keys.find(([variable]) => process.env[variable]);
  if (found) {
    const [variable, provider] = found;
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'llm' },
      stringData: { [provider]: process.env[variable] },
    };
    await kubectl.apply(JSON.stringify(secret));
    console.log(`${variable} is set: the agents ask ${provider}, and that costs a little money.`);
  } else {
    console.log('No OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY: a simulated model answers, for nothing.');
  }
  console.log((await kubectl.apply(await example(`models/${found?.[1] ?? 'simulated'}`))).trim());
}

async function allReady(kubectl: Kubectl, kind: string): Promise<boolean> {
  const objects = await kubectl.list(kind);
  const ready = (object: KubeObject) =>
    object['status']?.conditions?.some(
      (c: { type: string; status: string }) => c.type === 'Ready' && c.status === 'True',
    );
  return objects.length > 0 && objects.every(ready);
}

interface StepRow {
  name: string;
  phase: string;
  attempt?: number;
  reason?: string;
  job?: string;
}

/** Prints each change of each step until the run is over. */
async function follow(kubectl: Kubectl, name: string): Promise<KubeObject> {
  const seen = new Map<string, string>();
  return eventually(`The end of run ${name}`, async () => {
    const run = await kubectl.get('run', name);
    for (const step of (run?.['status']?.steps ?? []) as StepRow[]) {
      const line = [
        step.phase.padEnd(10),
        step.name.padEnd(14),
        step.job ? `job ${step.job}` : '',
        step.reason ?? '',
      ].join(' ');
      if (seen.get(step.name) !== line) console.log(`  ${run?.['status'].progress ?? ''}  ${line.trimEnd()}`);
      seen.set(step.name, line);
    }
    return run && ['Succeeded', 'Failed', 'Cancelled'].includes(run['status']?.phase) ? run : undefined;
  });
}

function report(run: KubeObject): void {
  const status = run['status'];
  console.log(
    `\n  ${status.phase}: ${status.progress} steps, ${status.usage.inputTokens} tokens in, ` +
      `${status.usage.outputTokens} out, ${status.usage.costUsd} USD`,
  );
  if (status.output === undefined) {
    const stalled = status.conditions?.find((c: { type: string }) => c.type === 'Stalled');
    console.log(`  ${stalled?.reason ?? ''}: ${stalled?.message ?? ''}`);
    return;
  }
  console.log(JSON.stringify(status.output, null, 2).replace(/^/gm, '  '));
}
