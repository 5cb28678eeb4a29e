// Imports run one way: crds <- store <- engine, gateway; telemetry <- engine, gateway; crds <- tools, sandbox <- gateway;
// engine <- server; crds <- agent-runtime; all of these <- operator <- cli.
const part = (name) => `^${name}/`;
const only = (name, allowed, comment) => ({
  name: `${name}-imports`,
  comment,
  severity: 'error',
  from: { path: part(name) },
  to: {
    path: '^(crds|a2a|store|telemetry|tools|sandbox|knowledge|engine|gateway|server|agent-runtime|operator|cli|test|scripts)/',
    pathNot: `^(${[name, ...allowed].join('|')})/`,
  },
});
const pure = '^(engine/src/core/|operator/src/[^/]+/(decide|status)\\.ts$|operator/src/[^/]+/desired/)';
const test = '\\.test\\.ts$';

export default {
  forbidden: [
    only('crds', [], 'crds is the root of the tree'),
    only('store', ['crds'], 'store knows the kinds alone'),
    only('knowledge', ['crds', 'store', 'tools'], 'knowledge fetches documents; what is found of them is in the store'),
    only('telemetry', [], 'telemetry knows ids and spans, and nothing of what they are about'),
    only('tools', ['crds', 'a2a'], 'tools reach out, and decide nothing'),
    only('a2a', ['crds'], 'a2a speaks to agents, whoever asks'),
    only('engine', ['crds', 'store', 'telemetry', 'a2a'], 'engine reaches the world through the store'),
    only('sandbox', ['crds'], 'sandbox runs code, and knows nothing of who asks or why'),
    only('gateway', ['crds', 'store', 'telemetry', 'a2a', 'tools', 'sandbox'], 'gateway must scale without the engine'),
    only('server', ['crds', 'store', 'engine'], 'server must scale without the operator'),
    only('agent-runtime', ['crds'], 'an agent pod carries no control-plane code'),
    only(
      'operator',
      ['crds', 'store', 'knowledge', 'engine', 'tools', 'sandbox'],
      'operator feeds runs to the engine through the store',
    ),
    only(
      'cli',
      [
        'crds',
        'store',
        'knowledge',
        'telemetry',
        'a2a',
        'tools',
        'sandbox',
        'engine',
        'gateway',
        'server',
        'agent-runtime',
        'operator',
      ],
      'cli wires the roles',
    ),
    {
      name: 'crds-zod-alone',
      comment: 'whoever reads the kinds must not load more than zod',
      severity: 'error',
      from: { path: '^crds/src/', pathNot: test },
      to: { dependencyTypes: ['npm', 'core'], pathNot: 'node_modules/zod/' },
    },
    {
      name: 'exporter-lazy',
      comment: 'who traces nothing must not load OpenTelemetry: the file that uses it is imported when it is needed',
      severity: 'error',
      from: { pathNot: ['^telemetry/src/exporter\\.ts$', '^node_modules/'] },
      to: { path: 'node_modules/@opentelemetry/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'tool-clients-lazy',
      comment:
        'who has no such Tool, or is asked by none, must not load what speaks to it: it is imported when it is needed',
      severity: 'error',
      from: { path: '/src/', pathNot: [test, '^tools/src/mcp/', '^server/src/mcp/protocol\\.ts$', '^node_modules/'] },
      to: {
        path: [
          'node_modules/(@modelcontextprotocol|nodemailer)/',
          '^tools/src/mcp/(?!executor\\.ts)',
          '^server/src/mcp/protocol\\.ts$',
        ],
        dependencyTypesNot: ['type-only', 'dynamic-import'],
      },
    },
    {
      name: 'mcp-lazy',
      comment: 'the same, from within',
      severity: 'error',
      from: { path: '^tools/src/mcp/executor\\.ts$' },
      to: { path: '^tools/src/mcp/', dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
    {
      name: 'pure',
      comment: 'decisions are functions of their arguments: no client, clock, logger, randomness or node:*',
      severity: 'error',
      from: { path: pure, pathNot: test },
      to: {
        dependencyTypes: ['core', 'npm'],
        pathNot: 'node_modules/(@marcbachmann/cel-js|zod|@kubernetes/client-node)/',
      },
    },
    {
      name: 'kinds-apart',
      comment: 'kind folders never import each other',
      severity: 'error',
      from: { path: '^operator/src/(agent|run|workflow|model|tool|gpu-pool|trigger)/' },
      to: { path: '^operator/src/(agent|run|workflow|model|tool|gpu-pool|trigger)/', pathNot: '^operator/src/$1/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-deep-imports',
      comment: 'a part is used through its package entry',
      severity: 'error',
      from: { path: '^([^/]+)/src/' },
      to: {
        path: '^(crds|a2a|store|telemetry|tools|sandbox|knowledge|engine|gateway|server|agent-runtime|operator|cli)/src/',
        pathNot: ['^$1/src/', '/src/(index|main)\\.ts$'],
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Of the project alone: packages live in folders of such names, and rules are about packages, too.
    exclude: { path: '^(?!node_modules/).*(dist|\\.cache|\\.cluster)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
