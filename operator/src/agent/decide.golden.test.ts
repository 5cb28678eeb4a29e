import { describe } from '@jest/globals';
import { testGoldens } from '../build/golden.ts';
import { decideAgent } from './decide.ts';

describe('what an agent consists of', () => testGoldens(import.meta.dirname, decideAgent));
