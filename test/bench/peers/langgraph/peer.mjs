// LangGraph.js with its SQLite checkpointer, each checkpoint on disk before the next step ("sync"), WAL and full sync as
// in Kadre's own store.
import { Annotation, END, Send, START, StateGraph } from '@langchain/langgraph';
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite';
import Database from 'better-sqlite3';
import { join } from 'node:path';
import { dataFolder, inParallel, serve } from './serve.ts';

const db = new Database(join(dataFolder, 'langgraph.db'));
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
const checkpointer = new SqliteSaver(db);

const Counter = Annotation.Root({ done: Annotation(), wanted: Annotation() });
const loop = new StateGraph(Counter)
  .addNode('step', ({ done }) => ({ done: done + 1 }))
  .addEdge(START, 'step')
  .addConditionalEdges('step', ({ done, wanted }) => (done < wanted ? 'step' : END))
  .compile({ checkpointer });

const Results = Annotation.Root({
  wanted: Annotation(),
  results: Annotation({ reducer: (all, more) => all.concat(more), default: () => [] }),
});
const fanOut = new StateGraph(Results)
  .addNode('step', ({ index }) => ({ results: [index] }))
  .addNode('join', ({ results, wanted }) => {
    if (results.length !== wanted) throw new Error(`${results.length} of ${wanted} results`);
    return {};
  })
  .addConditionalEdges(START, ({ wanted }) => Array.from({ length: wanted }, (_, index) => new Send('step', { index })))
  .addEdge('step', 'join')
  .addEdge('join', END)
  .compile({ checkpointer });

let threads = 0;
const run = (graph, input, count) =>
  graph.invoke(input, {
    configurable: { thread_id: String(++threads) },
    durability: 'sync',
    recursionLimit: count + 10,
  });

serve({
  chain: (count) => run(loop, { done: 0, wanted: count }, count),
  'fan-out': (count) => run(fanOut, { wanted: count }, 10),
  // It has no queue of its own; so many at once is what the program that embeds it chooses.
  runs: (count) => inParallel(count, 64, () => run(loop, { done: 0, wanted: 1 }, 1)),
});
