// What to say about a Knowledge. Nothing is made for it: its documents are in the store, where the gateway finds them.
import { isProviderModel, type KnowledgeStatus } from '@kadre/crds';
import { conditionsOf, news } from '../build/readiness.ts';
import type { Health } from '../kube/conditions.ts';
import type { Plan } from '../kube/plan.ts';
import { lookAgainIn, type KnowledgeSnapshot } from './snapshot.ts';

export function decideKnowledge(snapshot: KnowledgeSnapshot, now: Date): Plan {
  const { knowledge, look, state } = snapshot;
  if (knowledge.metadata.deletionTimestamp !== undefined) return {};
  const health = modelTrouble(snapshot) ?? sourceTrouble(snapshot) ?? indexHealth(snapshot);
  const conditions = conditionsOf(knowledge, health, [], now);
  const read = look && Math.min(look.configMapsAt, look.otherAt);
  const status: KnowledgeStatus = {
    observedGeneration: knowledge.metadata.generation,
    ...(state && {
      documents: state.documents,
      chunks: state.chunks,
      indexed: state.indexed,
      revision: state.revision,
    }),
    ...(read !== undefined && { lastRefresh: new Date(read).toISOString() }),
    conditions,
  };
  const requeueAfter = lookAgainIn(snapshot, now.getTime());
  return {
    status: { ...status },
    ...(requeueAfter !== undefined && { requeueAfter }),
    ...news(knowledge.status?.conditions, conditions),
  };
}

const stalled = (reason: string, message: string): Health => ({ state: 'stalled', reason, message });
const progressing = (reason: string, message: string): Health => ({ state: 'progressing', reason, message });

function modelTrouble({ knowledge: { metadata, spec }, model }: KnowledgeSnapshot): Health | undefined {
  if (!model)
    return stalled(
      'ModelNotFound',
      `There is no Model ${spec.model} in namespace ${metadata.namespace ?? ''}. Create it, or name another one in spec.model.`,
    );
  if (isProviderModel(model)) return undefined;
  return stalled(
    'ModelIsRoute',
    `Model ${spec.model} is a route. Name one Model that embeds in spec.model: vectors of several do not go together.`,
  );
}

const AGAIN = 'It is read again by itself.';

function sourceTrouble({ look }: KnowledgeSnapshot): Health | undefined {
  const problems = look?.problems ?? [];
  const worst = problems.find(({ passing }) => !passing) ?? problems[0];
  if (!worst) return undefined;
  const others = problems.length > 1 ? ` ${problems.length - 1} more of its sources cannot be read either.` : '';
  const { source, reason, passing } = worst;
  const message = `Source ${source}: ${worst.message}${passing ? ` ${AGAIN}` : ''}${others} What was read of it before can still be found.`;
  return passing ? progressing(reason, message) : stalled(reason, message);
}

function indexHealth({ knowledge, state }: KnowledgeSnapshot): Health {
  const { documents = 0, chunks = 0, indexed = 0, failure } = state ?? {};
  if (chunks === 0)
    return stalled('NoDocuments', 'The sources have no text. Add some, or name others in spec.sources.');
  if (indexed < chunks) {
    const far = `${indexed} of ${chunks} passages can be found.`;
    if (!failure) return progressing('Indexing', far);
    return progressing(
      failure.reason,
      `${far} Model ${knowledge.spec.model} does not embed the rest: ${failure.message} It is asked again by itself.`,
    );
  }
  return {
    state: 'ready',
    reason: 'Ready',
    message: `Agents can search ${chunks} ${chunks === 1 ? 'passage' : 'passages'} of ${documents} ${documents === 1 ? 'document' : 'documents'}.`,
  };
}
