// A caller is a ServiceAccount, and on behalf of a step also that step.
import { verifyStepToken, type StepClaims, type Store } from '@kadre/store';
import { forbidden, unauthorized } from '../errors.ts';
import type { Clock, Identity } from '../options.ts';

export interface Caller extends Identity {
  /** Name of the agent that the call is counted for. */
  agent: string;
  step?: StepClaims;
}

const OWN_ACCOUNT = /^agent-(.+)$/;

/** The agent that a ServiceAccount belongs to; an account that no agent owns stands for itself. */
export const agentOf = (serviceAccount: string): string => OWN_ACCOUNT.exec(serviceAccount)?.[1] ?? serviceAccount;

export type Admit = (identity: Identity, stepToken: string | undefined) => Promise<Caller>;

/** Joins identity and step token, or throws a 401 for a bad step token and a 403 for somebody else's. */
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

  return async (identity, stepToken) => {
    if (stepToken === undefined) return { ...identity, agent: agentOf(identity.serviceAccount) };
    const step = verifyStepToken(await stepSecret(), stepToken, clock.now());
    if (!step) throw unauthorized('The step token is not valid, or it has expired.');
    if (step.namespace !== identity.namespace) throw forbidden('The step token belongs to another namespace.');
    // Several agents may share an account that the user names, so such an account does not tell the agent: the token does.
    if (OWN_ACCOUNT.test(identity.serviceAccount) && step.agent !== agentOf(identity.serviceAccount)) {
      throw forbidden('The step token belongs to another agent.');
    }
    return { ...identity, agent: step.agent, step };
  };
}
