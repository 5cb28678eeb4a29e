// A caller is a ServiceAccount, and on behalf of a step also that step; or an engine, on behalf of a step without an agent.
import { verifyStepToken, type StepClaims, type Store } from '@kadre/store';
import { forbidden, unauthorized } from '../errors.ts';
import type { Clock, Identity } from '../options.ts';

export interface Caller extends Identity {
  /** Name of the agent that the call is counted for; empty if an engine calls. */
  agent: string;
  step?: StepClaims;
}

const OWN_ACCOUNT = /^agent-(.+)$/;

/** The agent that a ServiceAccount belongs to; an account that no agent owns stands for itself. */
export const agentOf = (serviceAccount: string): string => OWN_ACCOUNT.exec(serviceAccount)?.[1] ?? serviceAccount;

/** Whether engines may use a route; absent: they may not. `only`: nobody else may. */
export type EngineUse = 'too' | 'only';

/** Throws a 403 for a caller whom the route is not for. */
export function mustBeFor(use: EngineUse | undefined, { step }: Caller): void {
  if (step?.engine && use === undefined) {
    throw forbidden('The token of an engine is good for calls of tools and of code alone.');
  }
  if (!step?.engine && use === 'only') throw forbidden('Only an engine may ask for this, on behalf of a step.');
}

export type Admit = (identify: () => Promise<Identity>, stepToken: string | undefined) => Promise<Caller>;

/**
 * Joins identity and step token, or throws a 401 for a bad step token and a 403 for somebody else's. The token of an engine
 * stands for itself: nobody else can sign one.
 */
export function createAdmit(store: Pick<Store, 'secret'>, clock: Clock): Admit {
  let secret: Promise<Uint8Array> | undefined;
  const stepSecret = async (): Promise<Uint8Array> => {
    secret ??= store.secret('step-token');
    try {
      return await secret;
    } catch (error) {
      secret = undefined;
      throw error;
    }
  };

  return async (identify, stepToken) => {
    const step = stepToken === undefined ? undefined : verifyStepToken(await stepSecret(), stepToken, clock.now());
    if (step?.engine) return { namespace: step.namespace, serviceAccount: '', uid: '', agent: '', step };
    const identity = await identify();
    if (stepToken === undefined) return { ...identity, agent: agentOf(identity.serviceAccount) };
    if (!step) throw unauthorized('The step token is not valid, or it has expired.');
    if (step.namespace !== identity.namespace) throw forbidden('The step token belongs to another namespace.');
    // Several agents may share an account that the user names, so such an account does not tell the agent: the token does.
    if (OWN_ACCOUNT.test(identity.serviceAccount) && step.agent !== agentOf(identity.serviceAccount)) {
      throw forbidden('The step token belongs to another agent.');
    }
    return { ...identity, agent: step.agent, step };
  };
}
