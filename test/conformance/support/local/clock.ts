// Time that runs faster than outside, so that a wait of two seconds costs a tenth of one. Nothing in the suite depends on
// how long work takes, only on what is asked to last for ever and on waits.

export interface FastClock {
  now(): number;
  at(time: number, callback: () => void): () => void;
  after(milliseconds: number, callback: () => void): () => void;
}

export function fastClock(factor: number): FastClock {
  const begin = Date.now();
  const now = (): number => begin + (Date.now() - begin) * factor;
  const after = (milliseconds: number, callback: () => void): (() => void) => {
    let timer: NodeJS.Timeout;
    const end = now() + milliseconds;
    const wait = (): void => {
      const left = end - now();
      if (left <= 0) callback();
      else timer = setTimeout(wait, Math.min(Math.ceil(left / factor), 2 ** 31 - 1));
    };
    timer = setTimeout(wait, 0);
    return () => clearTimeout(timer);
  };
  return { now, after, at: (time, callback) => after(time - now(), callback) };
}
