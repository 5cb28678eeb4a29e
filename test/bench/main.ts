// `make bench`: the figures, on this machine, in one run. docs/benchmarks.md says what they mean.
//
//   node test/bench/main.ts [cold-start] [laptop] [knowledge] [peers] [gateway] [agents] [image-size] [deployments] [jobs] [runs] [sandbox] [--docs] [--soak MINUTES]
//
// With --docs the tables of the peers, the gateways and the agents replace those in docs/benchmarks.md. --soak: how long the
// memory of the gateway is watched under load.
import { connect } from '@kadre/operator';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { installKadre } from '../support/install.ts';
import { kubectlFor } from '../support/kubectl.ts';
import { agents } from './agents/agents.ts';
import { coldStart } from './cold-start.ts';
import { deployments } from './deployments.ts';
import { intoDocs } from './docs.ts';
import { gateways } from './gateway/gateway.ts';
import { imageSize } from './image-size.ts';
import { jobs } from './jobs.ts';
import { knowledge } from './knowledge.ts';
import { laptop } from './laptop.ts';
import { peers } from './peers/peers.ts';
import { table, type Figure } from './report.ts';
import { runs } from './runs.ts';
import { sandboxes } from './sandbox.ts';

const NAMESPACE = 'kadre-bench';
const all = [
  'cold-start',
  'laptop',
  'knowledge',
  'peers',
  'gateway',
  'agents',
  'image-size',
  'deployments',
  'jobs',
  'runs',
  'sandbox',
];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { docs: { type: 'boolean' }, soak: { type: 'string', default: '1' } },
});
const wanted = positionals.length > 0 ? positionals : all;
const unknown = wanted.find((name) => !all.includes(name));
if (unknown !== undefined) {
  console.error(`There is no benchmark "${unknown}". There are: ${all.join(', ')}.`);
  process.exit(2);
}

const soakMinutes = Number(values.soak);
if (!(soakMinutes > 0)) {
  console.error('--soak wants a number of minutes, such as 30.');
  process.exit(2);
}

const figures: Figure[] = [];
if (wanted.includes('cold-start')) figures.push(...(await coldStart()));
if (wanted.includes('laptop')) figures.push(...(await laptop()));
if (wanted.includes('knowledge')) figures.push(...(await knowledge()));
const reports: string[] = [];
if (wanted.includes('peers')) await reported('durable engines', await peers());
if (wanted.includes('gateway')) await reported('gateways', await gateways({ soakMinutes }));
if (wanted.includes('agents')) await reported('agents', await agents());
if (wanted.some((name) => !['cold-start', 'laptop', 'knowledge', 'peers', 'gateway', 'agents'].includes(name))) {
  const kubeconfig = await installKadre();
  if (wanted.includes('image-size')) figures.push(...(await imageSize()));
  await onCluster(kubeconfig);
}
console.log(
  `\nNode ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), everything on this machine\n`,
);
if (figures.length > 0) console.log(table(figures));
for (const report of reports) console.log(`\n${report}`);

async function reported(what: string, report: string): Promise<void> {
  reports.push(report);
  if (values.docs === true) await intoDocs(what, report);
}

async function onCluster(kubeconfig: string): Promise<void> {
  if (!['deployments', 'jobs', 'runs', 'sandbox'].some((name) => wanted.includes(name))) return;
  const cluster = kubectlFor(kubeconfig);
  await cluster.run(['delete', 'namespace', NAMESPACE, '--ignore-not-found']);
  await cluster.run(['create', 'namespace', NAMESPACE]);
  const connection = connect({ kubeconfig });
  try {
    if (wanted.includes('deployments')) figures.push(...(await deployments(connection, NAMESPACE)));
    if (wanted.includes('jobs')) figures.push(...(await jobs(connection, NAMESPACE)));
    if (wanted.includes('runs')) figures.push(...(await runs(connection, kubectlFor(kubeconfig, NAMESPACE))));
    if (wanted.includes('sandbox')) figures.push(...(await sandboxes(connection, kubectlFor(kubeconfig, NAMESPACE))));
  } finally {
    await connection.close();
    await cluster.run(['delete', 'namespace', NAMESPACE, '--wait=false']);
  }
}
