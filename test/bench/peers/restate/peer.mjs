// Restate: one node with its default settings (its log is synced to disk), the service in this process.
import * as restate from '@restatedev/restate-sdk';
import * as clients from '@restatedev/restate-sdk-clients';
import { dataFolder, freePort, inParallel, patiently, serve, startServer } from './serve.ts';

const [ingress, admin, node, service] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
let finished = 0;
let awaited = { count: Infinity, over: () => {} };

const bench = restate.service({
  name: 'bench',
  handlers: {
    chain: async (ctx, count) => {
      for (let i = 0; i < count; i++) await ctx.run(() => i);
    },
    // As calls; as 10,000 steps of one invocation it takes several times as long.
    fanOut: async (ctx, count) => {
      const self = ctx.serviceClient({ name: 'bench' });
      await restate.RestatePromise.all(Array.from({ length: count }, (_, i) => self.step(i)));
    },
    step: async (_ctx, i) => i,
    single: async (ctx, i) => {
      await ctx.run(() => i);
      if (++finished === awaited.count) awaited.over();
    },
  },
});
await restate.serve({ services: [bench], port: service });
startServer(process.env.BENCH_SERVER, [], {
  RESTATE_BASE_DIR: dataFolder,
  RESTATE_BIND_IP: '127.0.0.1',
  RESTATE_LISTEN_MODE: 'tcp',
  RESTATE_BIND_PORT: String(node),
  RESTATE_ADMIN__BIND_PORT: String(admin),
  RESTATE_INGRESS__BIND_PORT: String(ingress),
  RESTATE_DISABLE_TELEMETRY: 'true',
});
await patiently(register);
const client = clients.connect({ url: `http://127.0.0.1:${ingress}` });
const own = { name: 'bench' };

serve({
  chain: (count) => client.serviceClient(own).chain(count),
  'fan-out': (count) => client.serviceClient(own).fanOut(count),
  runs: async (count) => {
    finished = 0;
    const over = new Promise((resolve) => (awaited = { count, over: resolve }));
    await inParallel(count, 64, (i) => client.serviceSendClient(own).single(i));
    await over;
  },
});

async function register() {
  const response = await fetch(`http://127.0.0.1:${admin}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
  });
  if (!response.ok) throw new Error(await response.text());
}
