// Under which names a model asks other agents.
import { shortName } from '../tools/function-names.ts';

/** Names of Tools hold no `_`, and what follows theirs begins with two: no Tool is called like this. */
export const askName = (agent: string): string => shortName(`ask_${agent}`);
export const handOffName = (agent: string): string => shortName(`hand_off_to_${agent}`);

export const isDelegation = (functionName: string): boolean => /^(ask|hand_off_to)_[^_]/.test(functionName);
