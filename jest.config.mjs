/**
 * @param minutes how long a test may take: a bound against hanging for ever, not a promise of speed, for a test waits for
 *   conditions, and machines may be busy
 */
const project = (displayName, minutes, testMatch) => ({
  displayName,
  testMatch,
  testTimeout: minutes * 60_000,
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  transform: { '\\.ts$': '<rootDir>/scripts/jest-transform.mjs' },
  modulePathIgnorePatterns: ['<rootDir>/.cache', '<rootDir>/.cluster', '<rootDir>/.tools', '/dist/'],
});

export default {
  // Two cores: a third worker only adds contention.
  maxWorkers: 2,
  coverageProvider: 'v8',
  collectCoverageFrom: ['*/src/**/*.ts', '!**/*.test.ts', '!**/main.ts'],
  projects: [
    project('unit', 1, [
      '<rootDir>/*/src/**/*.test.ts',
      '<rootDir>/scripts/**/*.test.ts',
      '<rootDir>/test/packaging/!(*.integration).test.ts',
    ]),
    project('integration', 5, [
      '<rootDir>/test/integration/**/*.test.ts',
      '<rootDir>/test/cluster/control-plane*.test.ts',
      '<rootDir>/test/packaging/*.integration.test.ts',
    ]),
    project('e2e', 10, ['<rootDir>/test/e2e/**/*.test.ts', '<rootDir>/test/cluster/!(control-plane)*.test.ts']),
  ],
};
