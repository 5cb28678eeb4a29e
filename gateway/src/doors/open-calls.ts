// Tool calls of an answer that are not over yet. The neutral events do not say when one is, and may interleave them; most
// dialects want one after the other.

interface OpenCall<T> {
  state: T;
  arguments: string;
}

export class OpenCalls<T> {
  readonly #open = new Map<number, OpenCall<T>>();

  begin(index: number, state: T): void {
    this.#open.set(index, { state, arguments: '' });
  }

  /** `undefined`: the call is over, and this cannot be more than blank space. */
  add(index: number, text: string): T | undefined {
    const call = this.#open.get(index);
    if (!call) return undefined;
    call.arguments += text;
    return call.state;
  }

  /** Takes away the calls that are complete by now: when something else is said, that is most likely all of them. */
  *complete(): Generator<OpenCall<T>> {
    for (const [index, call] of this.#open) {
      if (!isComplete(call.arguments)) continue;
      this.#open.delete(index);
      yield call;
    }
  }

  /** Takes away all that are left: the answer is over. */
  *rest(): Generator<OpenCall<T>> {
    for (const [index, call] of this.#open) {
      this.#open.delete(index);
      yield call;
    }
  }
}

function isComplete(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
