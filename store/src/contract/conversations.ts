import { expect, test } from '@jest/globals';
import type { ConversationKey, NewTurn } from '../conversations.ts';
import type { StoreUnderTest } from './fixtures.ts';

const talk: ConversationKey = { namespace: 'team', agent: 'writer', conversation: 'c1/é' };
const room = { turns: 3, characters: 10_000 };
const turn = (id: string, at = 1, text = id): NewTurn => ({ id, at, messages: [{ role: 'user', content: text }] });

export function describeConversations(it: () => StoreUnderTest): void {
  const ids = async (key = talk): Promise<string[]> => (await it().store.turns(key)).map(({ id }) => id);

  test('what was said comes back in its order, after a restart too', async () => {
    expect(await it().store.turns(talk)).toEqual([]);
    const odd = { ...turn('b', 2), messages: { said: 'é\u0000' } };
    expect(await it().store.remember(talk, turn('a'), room)).toEqual({ verdict: 'new', seq: 1 });
    expect(await it().store.remember(talk, odd, room)).toEqual({ verdict: 'new', seq: 2 });
    const again = await it().reopen();
    expect(await again.turns(talk)).toEqual([
      { ...turn('a'), seq: 1 },
      { ...odd, seq: 2 },
    ]);
  });

  test('a turn that is told twice is there once, as it was first', async () => {
    const second = await it().second();
    await it().store.remember(talk, turn('a'), room);
    expect(await second.remember(talk, turn('a', 9, 'other'), room)).toEqual({ verdict: 'known', seq: 1 });
    expect(await second.remember(talk, turn('a'), room, 0)).toEqual({ verdict: 'known', seq: 1 });
    expect(await it().store.turns(talk)).toEqual([{ ...turn('a'), seq: 1 }]);
    await second.close();
  });

  test('turns that come at once are all kept, one after the other', async () => {
    const second = await it().second();
    const said = Array.from({ length: 20 }, (_, index) => `t${index}`);
    const wide = { turns: 100, characters: 1e6 };
    const all = await Promise.all(
      said.map((id, index) => (index % 2 ? second : it().store).remember(talk, turn(id), wide)),
    );
    const places = all.map((one) => (one.verdict === 'new' ? one.seq : 0)).sort((a, b) => a - b);
    expect(places).toEqual(said.map((_, index) => index + 1));
    expect((await ids()).sort()).toEqual(said.sort());
    await second.close();
  });

  test('who believes in another end than there is, is told so, and changes nothing', async () => {
    const { store } = it();
    expect(await store.remember(talk, turn('a'), room, 0)).toMatchObject({ verdict: 'new' });
    expect(await store.remember(talk, turn('b'), room, 0)).toEqual({ verdict: 'stale' });
    expect(await store.remember(talk, turn('c'), room, 1)).toMatchObject({ verdict: 'new' });
    expect(await ids()).toEqual(['a', 'c']);
  });

  test('the oldest turns make room, the newest stays whatever its size', async () => {
    const { store } = it();
    for (const id of ['a', 'b', 'c', 'd']) await store.remember(talk, turn(id), room);
    expect((await store.turns(talk)).map(({ seq }) => seq)).toEqual([2, 3, 4]);
    await store.remember(talk, turn('e', 1, 'x'.repeat(6000)), room);
    await store.remember(talk, turn('f', 1, 'x'.repeat(6000)), room);
    expect(await ids()).toEqual(['f']);
    await store.remember(talk, turn('g', 1, 'x'.repeat(20_000)), room);
    expect(await store.turns(talk)).toMatchObject([{ id: 'g', seq: 7 }]);
  });

  test('conversations of the same name are apart by agent and namespace', async () => {
    const { store } = it();
    await store.remember(talk, turn('a'), room);
    const others = [
      { ...talk, agent: 'reader' },
      { ...talk, namespace: 'other' },
    ];
    for (const other of others) expect(await ids(other)).toEqual([]);
    const whose = { namespace: 'team', agent: 'writer' };
    expect(await store.conversationOf({ ...whose, id: 'a' })).toBe(talk.conversation);
    expect(await store.conversationOf({ ...whose, agent: 'reader', id: 'a' })).toBeUndefined();
    expect(await store.conversationOf({ ...whose, id: 'b' })).toBeUndefined();
  });

  test('a conversation ends when somebody wants it forgotten, and turns with time', async () => {
    const { store } = it();
    const other = { ...talk, conversation: 'c2' };
    for (const [at, id] of ['a', 'b', 'c'].entries()) await store.remember(talk, turn(id, at), room);
    await store.remember(other, turn('a', 5), room);
    await store.pruneConversations(1);
    expect(await ids()).toEqual(['b', 'c']);
    expect(await store.remember(talk, turn('d', 9), room, 3)).toEqual({ verdict: 'new', seq: 4 });
    expect(await store.forgetConversation(talk)).toBe(true);
    expect(await store.forgetConversation(talk)).toBe(false);
    expect(await ids()).toEqual([]);
    expect(await ids(other)).toEqual(['a']);
  });
}
