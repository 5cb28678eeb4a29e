import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { ensureBinaries } from './binaries.ts';
import { chooseCluster } from './choose-cluster.ts';
import { withImageArchive } from './image-archive.ts';
import type { Report } from './report.ts';

const usage = `usage: node test/cluster/main.ts COMMAND

  up [--gpus N]              make a cluster ready; the last line printed is the export of its KUBECONFIG
  down                       take it away again
  status                     say what runs; exit code 0 when the cluster is ready
  kubectl ARGUMENT…          kubectl for this cluster
  load-image ARCHIVE         make an image available to pods, from a docker-archive or OCI archive
  load-image DIR[:TAG] NAME  the same from an OCI layout
  build                      build the programs that integration tests and the node cluster need

KADRE_CLUSTER=existing|kind|node chooses the cluster; see docs/cluster.md.`;

const report: Report = (line) => console.log(line);
const complain: Report = (line) => console.error(line);

async function main([command, ...args]: readonly string[]): Promise<number> {
  switch (command) {
    case 'up':
      return await up(args);
    case 'down':
      await (await chooseCluster(report)).down(report);
      return 0;
    case 'status':
      return (await (await chooseCluster(report)).status(report)) ? 0 : 1;
    case 'kubectl':
      return await kubectl(args);
    case 'load-image':
      return await loadImage(args);
    case 'build':
      await ensureBinaries(report);
      return 0;
    default:
      complain(usage);
      return 2;
  }
}

async function up(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { gpus: { type: 'string', default: '2' } } });
  const gpus = Number(values.gpus);
  if (!/^\d{1,3}$/.test(values.gpus)) throw new Error(`--gpus must be a number from 0 to 999, not "${values.gpus}"`);
  const cluster = await chooseCluster(report);
  await cluster.up({ gpus }, report);
  report(`export KUBECONFIG=${cluster.kubeconfig}`);
  return 0;
}

/** Hands the terminal over to kubectl. Returns its exit code. */
async function kubectl(args: readonly string[]): Promise<number> {
  const cluster = await chooseCluster(complain);
  const [program, ...first] = await cluster.kubectl(complain);
  const env = { ...process.env, KUBECONFIG: cluster.kubeconfig };
  const child = spawn(program, [...first, ...args], { env, stdio: 'inherit' });
  // Ctrl-C is kubectl's to handle; it reaches kubectl by itself.
  process.on('SIGINT', () => undefined);
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

async function loadImage(args: readonly string[]): Promise<number> {
  const [source, name] = args;
  if (source === undefined) throw new Error('load-image needs an archive, or an OCI layout and a name');
  const cluster = await chooseCluster(report);
  await withImageArchive(source, name, (archive) => cluster.loadArchive(archive, report));
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  complain(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
