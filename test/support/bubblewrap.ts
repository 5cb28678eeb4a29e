import { existsSync } from 'node:fs';
import { installPackages } from '../cluster/node/packages.ts';

/** Code on a laptop needs it. On Debian, root's tests install it themselves. */
export async function ensureBubblewrap(): Promise<void> {
  if (!existsSync('/usr/bin/bwrap')) await installPackages(['bubblewrap'], 'code on a laptop', console.log);
}
