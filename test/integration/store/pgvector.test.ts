// A PostgreSQL with pgvector: the server looks for the nearest vectors itself.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { openPostgresStore, type Store } from '@kadre/store';

let db: PGlite;
let server: PGLiteSocketServer;
let store: Store;
beforeAll(async () => {
  db = await PGlite.create({ extensions: { vector } });
  server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: 0, maxConnections: 20 });
  await server.start();
  store = await openPostgresStore({ url: `postgres://postgres@${server.getServerConn()}/postgres`, schema: 'kadre' });
});
afterAll(async () => {
  await store.close();
  await server.stop();
  await db.close();
});

const of = { namespace: 'team', name: 'handbook' };

test('the extension is made and used where the server has it, in whatever schema it is', async () => {
  await store.openKnowledge({ ...of, uid: 'u', model: 'm', space: 's' });
  const chunks = ['one', 'two', 'three'].map((text) => ({ title: 'T', text, hash: `#${text}` }));
  await store.putKnowledgeDocument(of, { id: 'd', hash: 'h', source: 'pages', url: 'https://a.example', chunks });
  await store.putVectors(of, 's', [
    { hash: '#one', vector: Float32Array.from([3, 0]) },
    { hash: '#two', vector: Float32Array.from([1, 1]) },
    { hash: '#three', vector: Float32Array.from([1, 1, 1]) },
  ]);
  const { found } = await store.searchKnowledge(of, 's', Float32Array.from([2, 0.1]), 5);
  expect(found.map(({ text, score }) => [text, score.toFixed(2)])).toEqual([
    ['one', '1.00'],
    ['two', '0.74'],
  ]);
  const { rows } = await db.query("SELECT extname FROM pg_extension WHERE extname = 'vector'");
  expect(rows).toHaveLength(1);
});
