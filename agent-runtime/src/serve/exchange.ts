// What the routes of an agent share.
import { TRACE_HEADER, traceparent } from '@kadre/crds';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Agent } from '../agent/agent.ts';
import type { Memory } from '../agent/memory.ts';
import { AgentFailure } from '../failure.ts';
import type { Slot, WorkGate } from './work-gate.ts';

export interface RouteContext {
  agent: Agent;
  gate: WorkGate;
  /** Absent: the agent has none. */
  memory: Memory | undefined;
}

/** The caller's header, if it is one. */
export const traceparentOf = ({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined =>
  traceparent.safeParse(headers[TRACE_HEADER]).data;

/** Does one piece of work for one request; it is aborted when the client goes away. */
export async function withSlot<T>(gate: WorkGate, reply: FastifyReply, work: (slot: Slot) => Promise<T>): Promise<T> {
  const slot = gate.enter();
  const abandoned = (): void => {
    if (!reply.raw.writableFinished) slot.abort(new AgentFailure('Cancelled', 'The client has closed the connection.'));
  };
  if (reply.raw.destroyed) abandoned();
  reply.raw.once('close', abandoned);
  try {
    return await work(slot);
  } finally {
    slot.release();
  }
}
