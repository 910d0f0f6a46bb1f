import { defineConfig } from 'vitest/config';
import { ensurePage } from './scripts/build/page.ts';

// Six projects. `fast`, `programs` and `thorough` need nothing but Node, `integration` needs the servers that its
// global set-up starts, `browser` needs Chromium. The two `long` projects hold variants: `npm run test:long` runs them,
// and the single tests tagged `long`, beside everything else.

/** Whole commands, HTTP servers and clients. Too many for every commit. */
const PROGRAMS = [
  'test/{cli,cluster,http,scripts}/**/*.test.ts',
  'test/attacks/*.test.ts',
  'test/audit/tampering.test.ts',
  'test/commands/{doctor,doctor-calls,pins,rollback}.test.ts',
  'test/config/{bad-files,credentials}.test.ts',
  'test/providers/{files,vault}/**/*.test.ts',
  'test/queue/*.test.ts',
  'test/reconcile/{find,crash,shapes,renamed}.test.ts',
  'test/sync/pattern.test.ts',
];

/** Too slow for every commit, or in need of module state of their own. */
const THOROUGH = [
  'test/matrix/**/*.test.ts',
  'test/leak.test.ts',
  'test/**/model.prop.test.ts',
  'test/**/races.test.ts',
  'test/**/{chaos,crash.prop}.test.ts',
  // Hundreds of chains, configurations and stores, each created from nothing.
  'test/commands/rollback.prop.test.ts',
  'test/audit/{verify,sqlite-queries}.prop.test.ts',
  'test/config/{load,parsed-files}.prop.test.ts',
  // Thousands of messages to real receivers.
  'test/notify/messages-leak.test.ts',
  // All routes with all roles; a server for each of many events.
  'test/http/{access,events-azure}.test.ts',
  // It measures the memory of its process.
  'test/service/memory.test.ts',
  // Processes that are started and killed, or hang.
  'test/service/watchdog.test.ts',
  'test/audit/sqlite-{processes,permissions,failures}.test.ts',
  'test/audit/retention.test.ts',
  'test/cli/process.test.ts',
  'test/cluster/directory-killed.test.ts',
  'test/examples/**/*.test.ts',
  // Hundreds of attacks on one file.
  'test/attacks/servers/*-sqlite.test.ts',
  // Processes with the client of each vendor.
  'test/providers/leak.test.ts',
  // They wait a second or more in the real time of clients and servers.
  'test/attacks/fair-shares.test.ts',
  'test/**/*-waits.test.ts',
  // The clients of these vendors keep state for the life of a process.
  'test/**/azure-*/**/*.test.ts',
  'test/**/{aws,aws-*}/**/*.test.ts',
  'test/fakes/aws-*.test.ts',
];

/** Variants of what `thorough` and `fast` show once: other stores, other faults, other moments of a crash. */
const LONG = [
  'test/matrix/matrix-{aws-parameters,azure,files,vault-2}.test.ts',
  'test/**/*-waits.test.ts',
  'test/events/**/chaos.test.ts',
];

/** Variants on real servers, images and packages, and the tests of the test servers themselves. */
const LONG_INTEGRATION = [
  'test/attacks/servers/{heavy-input,namespaced-people}.test.ts',
  'test/integration/services/**/*.test.ts',
  'test/integration/pods/*.test.ts',
  'test/integration/deploy/{image,image-compose,image-root,image-run,release,outage-alerts,chart-values,chart-network}.test.ts',
  'test/integration/docs/{back-up,encrypt,identities,rotate,tutorial,use-from-an-application,vault-identities}.test.ts',
  'test/integration/e2e/{package,many-mappings,events-chaos}.test.ts',
  'test/integration/service/{collector,stalls,replicas-sqlite,many-team-config-maps,notify-crashes}.test.ts',
  'test/integration/queue/redis-topologies.test.ts',
  'test/integration/rollouts/**/*.test.ts',
  'test/integration/sign-in/*.test.ts',
  'test/integration/gitops/health.test.ts',
  'test/integration/vault/*.test.ts',
  'test/integration/audit/{crashes,failover,retention,prepared-statements,orphan-rows,loss,pgbouncer,readiness}.test.ts',
];

/** The tests of the Vault store. They run on OpenBao, and on HashiCorp Vault with `npm run test:long`. */
const ON_VAULT = [
  'test/integration/providers/vault{,-conformance,-events,-logins,-standby}.test.ts',
  'test/integration/docs/vault-identities.test.ts',
  'test/integration/vault/*.test.ts',
];

/** Measures times of the service, so it runs alone. */
const GAME_DAY = ['test/game-day/full-size.test.ts'];

/** The machine may be busy, so a test waits long for a condition. */
const PATIENT = { poll: { timeout: 30_000 } };

const inOneModuleGraph = {
  // Importing a module of ours has no effect, so tests share modules. That halves the time.
  isolate: false,
  // Longer than one wait, so that a failed wait reports its condition.
  testTimeout: 40_000,
  expect: PATIENT,
};
const processes = { testTimeout: 120_000, expect: PATIENT };
const servers = {
  globalSetup: ['test/integration/global-setup.ts'],
  testTimeout: 300_000,
  hookTimeout: 120_000,
  expect: PATIENT,
};

// The servers of the tests serve the built review page.
await ensurePage();

export default defineConfig({
  test: {
    tags: [{ name: 'long', description: 'a variant, which only `npm run test:long` runs' }],
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: [
            'test/{browser,integration}/**',
            'test/attacks/*/**',
            ...[...PROGRAMS, ...THOROUGH, ...LONG, ...GAME_DAY],
          ],
          ...inOneModuleGraph,
        },
      },
      {
        test: {
          name: 'programs',
          include: PROGRAMS,
          exclude: [...THOROUGH, ...LONG],
          ...inOneModuleGraph,
        },
      },
      { test: { name: 'thorough', include: THOROUGH, exclude: LONG, ...processes } },
      { test: { name: 'long', include: LONG, ...processes } },
      {
        // The review page in a real Chromium. Without Chromium its tests are skipped with that reason.
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts', 'test/attacks/browser/**/*.test.ts'],
          globalSetup: ['test/browser/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: PATIENT,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/{integration,attacks/servers}/**/*.test.ts'],
          exclude: [...LONG_INTEGRATION, ...THOROUGH],
          ...servers,
        },
      },
      { test: { name: 'integration-long', include: LONG_INTEGRATION, ...servers } },
      { test: { name: 'game-day', include: GAME_DAY, ...servers } },
      {
        // Building Vault takes minutes, once.
        test: {
          name: 'vault-long',
          include: ON_VAULT,
          ...servers,
          globalSetup: ['test/integration/vault-setup.ts'],
        },
      },
    ],
  },
});
