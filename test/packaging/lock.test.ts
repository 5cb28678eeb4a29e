// The lock file serves every platform and every registry.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

interface Locked {
  resolved?: string;
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}

const file = path.join(import.meta.dirname, '..', '..', 'package-lock.json');
const { packages } = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Locked> };

/** Node looks beside a package, then beside each package around it. */
function isLocked(from: string, name: string): boolean {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    if (packages[`${at}${at === '' ? '' : '/'}node_modules/${name}`]) return true;
    if (at === '') return false;
  }
}

test('names the packages of all platforms, not only of the one that wrote it, or npm ci refuses it', () => {
  const missing = Object.entries(packages).flatMap(([at, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !isLocked(at, name))
      .map((name) => `${name}, optional for ${at}`),
  );
  expect(missing).toEqual([]);
});

test('names no registry', () => {
  const addresses = Object.values(packages).filter(({ resolved, link }) => resolved !== undefined && link !== true);
  expect(addresses).toEqual([]);
});
