const project = (displayName, testMatch) => ({
  displayName,
  testMatch,
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  transform: { '\\.ts$': '<rootDir>/scripts/jest-transform.mjs' },
  modulePathIgnorePatterns: ['<rootDir>/.cache', '<rootDir>/.cluster', '<rootDir>/.tools', '/dist/'],
});

export default {
  // Two cores: a third worker only adds contention.
  maxWorkers: 2,
  // A bound against hanging for ever, not a promise of speed: tests wait for conditions, and machines may be busy.
  testTimeout: 300_000,
  coverageProvider: 'v8',
  collectCoverageFrom: ['*/src/**/*.ts', '!**/*.test.ts', '!**/main.ts'],
  projects: [
    project('unit', [
      '<rootDir>/*/src/**/*.test.ts',
      '<rootDir>/scripts/**/*.test.ts',
      '<rootDir>/test/packaging/!(*.integration).test.ts',
    ]),
    project('integration', [
      '<rootDir>/test/integration/**/*.test.ts',
      '<rootDir>/test/cluster/control-plane*.test.ts',
      '<rootDir>/test/packaging/*.integration.test.ts',
    ]),
    project('conformance', ['<rootDir>/test/conformance/**/*.test.ts']),
    project('e2e', ['<rootDir>/test/e2e/**/*.test.ts', '<rootDir>/test/cluster/!(control-plane)*.test.ts']),
  ],
};
