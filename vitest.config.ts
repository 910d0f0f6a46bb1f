import { defineConfig } from 'vitest/config';

/** Too long for every commit, or in need of modules of their own. */
const THOROUGH = [
  'test/matrix/**/*.test.ts',
  'test/leak.test.ts',
  'test/**/model.prop.test.ts',
  'test/**/races.test.ts',
  'test/**/{chaos,crash.prop}.test.ts',
  // Hundreds of chains, configurations and stores, each made anew.
  'test/app/rollback.prop.test.ts',
  'test/audit/{verify,sqlite-queries}.prop.test.ts',
  'test/config/{load,parsed-files}.prop.test.ts',
  // All routes with all roles; a server for each of many events.
  'test/http/{access,events-azure}.test.ts',
  // Processes that are started and killed, or stand still.
  'test/service/watchdog.test.ts',
  'test/audit/sqlite-{processes,permissions,trouble,crashes}.test.ts',
  'test/audit/{schema-1,tampering-run,retention,retention-crashes}.test.ts',
  'test/cli/process.test.ts',
  'test/cluster/directory-killed.test.ts',
  'test/examples/**/*.test.ts',
  // A second or more of nothing but waiting, in the real time of clients and servers.
  'test/**/*-waits.test.ts',
  // The clients of these vendors keep state for the life of a process.
  'test/**/azure-*/**/*.test.ts',
  'test/**/aws-*/**/*.test.ts',
  'test/fakes/aws-*.test.ts',
];

/** Waiting for what will be so is no measurement, and the machine may be busy. */
const PATIENT = { poll: { timeout: 30_000 } };

// `fast` and `thorough` need nothing but Node; `integration` runs against the real servers that its global set-up
// starts.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**', 'test/browser/**', ...THOROUGH],
          // Importing a module of ours does nothing, so tests may share them: that halves the time.
          isolate: false,
          // Longer than one wait, so that a test that waits in vain tells for what.
          testTimeout: 40_000,
          expect: PATIENT,
        },
      },
      {
        test: { name: 'thorough', include: THOROUGH, testTimeout: 120_000, expect: PATIENT },
      },
      {
        // The review page in a real Chromium; left out with a reason where there is none.
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          globalSetup: ['test/browser/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: PATIENT,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/integration/global-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          expect: PATIENT,
        },
      },
    ],
  },
});
