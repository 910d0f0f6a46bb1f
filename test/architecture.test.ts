import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROVIDERS } from '../src/providers/registry.ts';
import { EXCEPTIONS } from './architecture-exceptions.ts';
import { BOUNDS, type BoundName, findSizeProblems, measure, readSources } from './architecture-measure.ts';
import { linksOf, type Page, proseOf } from './docs/markdown.ts';

const ROOT = resolve(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');

/**
 * The files that each folder of `src` may import, besides the files of the folder itself. An outer folder may import
 * inner folders. An inner folder must not import outer folders.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  sync: ['core'],
  providers: ['core'],
  cluster: ['core'],
  audit: ['core'],
  config: [
    'core',
    'providers/*/config.ts',
    'providers/credentials.ts',
    'providers/name-rules.ts',
    'providers/registry.ts',
    'sync/checks.ts',
    'sync/find.ts',
    'sync/pattern.ts',
    'sync/policies.ts',
    'sync/target-key.ts',
    'sync/template/compile.ts',
  ],
  reconcile: [
    'core',
    'sync',
    'providers/provider.ts',
    'cluster/cluster.ts',
    'audit/store.ts',
    'audit/entry.ts',
    'audit/decisions.ts',
  ],
  queue: ['core', 'telemetry/logger.ts'],
  restart: ['core', 'sync', 'cluster/workloads.ts', 'audit/store.ts', 'audit/entry.ts', 'audit/decisions.ts'],
  service: [
    'core',
    'sync',
    'reconcile',
    'cluster/cluster.ts',
    'cluster/team-ports.ts',
    'audit/store.ts',
    'audit/entry.ts',
    'queue/queue.ts',
    'queue/subject.ts',
    'events/hint.ts',
    'telemetry/logger.ts',
  ],
  events: [
    'core',
    'providers/provider.ts',
    'providers/credentials.ts',
    'providers/message-queue.ts',
    'telemetry/logger.ts',
  ],
  import: ['core', 'config', 'sync/template/compile.ts'],
  telemetry: ['core'],
  notify: [
    'core',
    'audit/store.ts',
    'audit/entry.ts',
    'providers/credentials.ts',
    'providers/network-errors.ts',
    'telemetry/logger.ts',
  ],
  'sign-in': ['core', 'providers/answer.ts', 'providers/network-errors.ts'],
  http: [
    'core',
    'sign-in',
    'audit/store.ts',
    'audit/entry.ts',
    'audit/verify/verify.ts',
    'audit/verify/evidence.ts',
    'audit/verify/chain-watch.ts',
    'audit/query/query.ts',
    'audit/query/record-detail.ts',
    'audit/query/trace.ts',
    'audit/query/review.ts',
    'audit/query/limited.ts',
    'audit/query/change-detail.ts',
    'audit/query/list-changes.ts',
    'audit/query/list-causes.ts',
    'audit/query/review-queue.ts',
    'audit/query/present.ts',
    'audit/query/reach.ts',
    'audit/query/find.ts',
    'audit/query/series.ts',
    'audit/summaries.ts',
    'audit/export/export.ts',
    'audit/export/formats.ts',
    'cluster/cluster.ts',
    'service/service.ts',
    'service/approvals.ts',
    'events/hint.ts',
    'telemetry/metrics.ts',
    'telemetry/logger.ts',
  ],
  app: ['core', 'sync', 'providers', 'cluster', 'audit', 'config', 'reconcile', 'telemetry'],
  commands: [
    'core',
    'sync',
    'providers',
    'cluster',
    'audit',
    'config',
    'reconcile',
    'queue',
    'restart',
    'service',
    'events',
    'notify',
    'telemetry',
    'sign-in',
    'http',
    'app',
  ],
  cli: [
    'core',
    'sync',
    'providers',
    'cluster',
    'audit',
    'telemetry/logger.ts',
    'telemetry/scrub.ts',
    'config',
    'reconcile',
    'service/approvals.ts',
    'import',
    'app',
    'commands',
  ],
};

/** The only files that may reveal the bytes of a secret, with the reason. */
const MAY_REVEAL: Readonly<Record<string, string>> = {
  'app/keys.ts': 'the key of the fingerprints is text in its file',
  'audit/postgres/address.ts': 'the password goes to PostgreSQL',
  'audit/record-keys.ts': 'the key of the records is derived from the key of the fingerprints',
  'cluster/manifest.ts': 'the bytes go into the Secret',
  'cluster/identities.ts': 'the token of a caller goes to the API server',
  'core/distinctive.ts': 'the variety of the bytes is counted',
  'core/fingerprint.ts': 'the bytes go into an HMAC',
  'core/sealer.ts': 'the key of sessions is derived from the key of the fingerprints',
  'http/oidc-logins.ts': 'the token of a person is verified',
  'notify/email.ts': 'the receivers and the password go to the mail server',
  'notify/post.ts': 'the address of a webhook is a credential',
  'notify/send.ts': 'the key of a webhook goes into the HMAC of a message',
  'sign-in/provider.ts': 'the secret of the client goes to the provider',
  'events/webhook.ts': 'the key goes into the HMAC of a webhook',
  'telemetry/scrub.ts': 'credentials are searched for in log lines',
  'providers/aws/credentials.ts': 'the credential goes to AWS',
  'providers/azure-key-vault/credential.ts': 'the credential goes to Azure',
  'providers/vault/login.ts': 'the credential goes to Vault',
  'providers/vault/client.ts': 'the token goes to Vault',
  'queue/redis-address.ts': 'the password goes to Redis',
  'sync/checks.ts': 'certificates and JSON are checked before they are written',
  'sync/template/compile.ts': 'values are put into templates',
  'reconcile/render.ts': 'values are copied to the worker thread, which renders templates',
  'sync/template/render.ts': 'rendered values are copied back from the worker thread',
  'sync/value.ts': 'properties are extracted from values',
  'telemetry/otlp.ts': 'the headers go to the collector',
};

/** For each package of a vendor, the only folder that may import the package. */
const VENDOR_HOME: Readonly<Record<string, string>> = {
  '@kubernetes/client-node': 'cluster',
  'node-vault': 'providers/vault',
  '@aws-sdk/client-secrets-manager': 'providers/aws-secrets-manager',
  '@aws-sdk/client-sqs': 'providers/aws',
  '@aws-sdk/client-ssm': 'providers/aws-parameter-store',
  '@aws-sdk/credential-providers': 'providers/aws',
  '@azure/identity': 'providers/azure-key-vault',
  '@azure/keyvault-certificates': 'providers/azure-key-vault',
  '@azure/keyvault-keys': 'providers/azure-key-vault',
  '@azure/keyvault-secrets': 'providers/azure-key-vault',
  '@opentelemetry/api': 'telemetry',
  '@opentelemetry/exporter-trace-otlp-http': 'telemetry',
  '@opentelemetry/resources': 'telemetry',
  '@opentelemetry/sdk-trace': 'telemetry',
  commander: 'cli',
  liquidjs: 'sync/template',
  re2js: 'sync',
  pino: 'telemetry',
  pg: 'audit',
  bullmq: 'queue',
  ioredis: 'queue',
  nodemailer: 'notify',
  'openid-client': 'sign-in',
  fastify: 'http',
  '@fastify/helmet': 'http',
  '@fastify/rate-limit': 'http',
  '@fastify/swagger': 'http',
  'prom-client': 'telemetry',
};

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const sources: readonly SourceFile[] = readSources(SRC).map(({ path, text }) => ({
  path,
  text,
  imports: importsOf(text),
}));

function importsOf(text: string): readonly string[] {
  const specifiers = text.matchAll(
    /(?:^import\b[^'"]*|^export\b[^'"]*\bfrom\s*|\bimport\()\s*['"]([^'"]+)['"]/gm,
  );
  return [...specifiers].map(([, name]) => name ?? '');
}

function ownImports({ path, imports }: SourceFile): readonly string[] {
  return imports
    .filter((name) => name.startsWith('.'))
    .map((name) => relative(SRC, resolve(SRC, dirname(path), name)));
}

function matches(path: string, allowed: string): boolean {
  if (!allowed.includes('*')) return path === allowed || path.startsWith(`${allowed}/`);
  const [before = '', after = ''] = allowed.split('*');
  return (
    path.startsWith(before) && path.endsWith(after) && !path.slice(before.length, -after.length).includes('/')
  );
}

function codeSpans(markdown: string): readonly string[] {
  return [...markdown.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span ?? '');
}

/** Returns the files that a page names in code spans. A `*` in the name matches any text. */
function namedFilesOf(page: Page): readonly string[] {
  return codeSpans(proseOf(page)).filter((span) => /^[\w*./-]+\.(?:ts|js|json|md|css|html)$/.test(span));
}

const folder = (path: string): string => path.split('/')[0] ?? '';
const provider = (path: string): string | undefined => /^providers\/([^/]+)\//.exec(path)?.[1];

/** The folders of `providers` that several providers share. */
const SHARED: Readonly<Record<string, readonly string[]>> = {
  aws: ['aws-parameter-store', 'aws-secrets-manager'],
};

describe('imports between source files', () => {
  it.each(sources.map((file) => [file.path, file] as const))(
    '%s imports only files that `MAY_IMPORT` allows for the folder of the importing file',
    (path, file) => {
      const home = folder(path);
      if (!path.includes('/')) return;
      const allowed = MAY_IMPORT[home];
      expect(allowed, `folder ${home} has no row in the table`).toBeDefined();
      for (const target of ownImports(file))
        expect(
          folder(target) === home || allowed?.some((pattern) => matches(target, pattern)),
          `${path} imports ${target}`,
        ).toBe(true);
    },
  );

  it('imports between source files form no cycle, even if imports of types are included', () => {
    const importsOf = new Map(sources.map((file) => [file.path, ownImports(file)]));
    const done = new Set<string>();
    const visit = (path: string, chain: readonly string[]): void => {
      expect(chain, 'a circle of imports').not.toContain(path);
      if (done.has(path)) return;
      for (const target of importsOf.get(path) ?? []) visit(target, [...chain, path]);
      done.add(path);
    };
    for (const { path } of sources) visit(path, []);
  });

  it('every entry of `MAY_IMPORT` is needed by an import', () => {
    const imported = Map.groupBy(
      sources.flatMap((file) => ownImports(file).map((target) => ({ home: folder(file.path), target }))),
      ({ home }) => home,
    );
    const unused = Object.entries(MAY_IMPORT).flatMap(([home, allowed]) =>
      allowed
        .filter((pattern) => !imported.get(home)?.some(({ target }) => matches(target, pattern)))
        .map((pattern) => `${home}: ${pattern}`),
    );
    expect(unused).toEqual([]);
  });

  it('no provider imports a file of another provider, and only its own providers import a shared folder', () => {
    for (const file of sources) {
      const home = provider(file.path);
      if (home === undefined) continue;
      const shared = Object.keys(SHARED).filter((name) => SHARED[name]?.includes(home));
      for (const target of ownImports(file))
        expect([undefined, home, ...shared], `${file.path} imports ${target}`).toContain(provider(target));
    }
  });

  it('the packages of each vendor are imported by only one folder', () => {
    for (const { path, imports } of sources)
      for (const name of imports)
        for (const [vendor, home] of Object.entries(VENDOR_HOME))
          if (name === vendor || name.startsWith(`${vendor}/`))
            expect(path.startsWith(`${home}/`), `${path} imports ${name}`).toBe(true);
  });
});

describe('imports of the review page', () => {
  it('the page imports no source of the service except the shared words, which import nothing', () => {
    const files = globSync('ui/src/**/*.{ts,tsx}', { cwd: ROOT });
    const foreign = files.flatMap((path) =>
      importsOf(readFileSync(join(ROOT, path), 'utf8'))
        .filter((name) => name.startsWith('.'))
        .map((name) => relative(ROOT, resolve(ROOT, dirname(path), name)))
        .filter((target) => !target.startsWith('ui/src/')),
    );
    expect([...new Set(foreign)]).toEqual(['src/core/words.ts']);
    expect(sources.find(({ path }) => path === 'core/words.ts')?.imports).toEqual([]);
  });
});

describe('the provider registry', () => {
  it('the provider registry lists every provider folder, in alphabetical order', () => {
    const folders = readdirSync(join(SRC, 'providers'), { withFileTypes: true })
      .filter(
        (entry) =>
          entry.isDirectory() && readdirSync(join(SRC, 'providers', entry.name)).includes('index.ts'),
      )
      .map(({ name }) => name);
    expect(Object.keys(PROVIDERS)).toEqual(folders.sort());
    for (const [name, definition] of Object.entries(PROVIDERS)) expect(definition.kind).toBe(name);
  });
});

describe('the source files', () => {
  it.each(sources.map((file) => [file.path, file.text] as const))('%s has at most 300 lines', (_, text) => {
    expect(text.split('\n').length).toBeLessThanOrEqual(301);
  });

  it('only the files in `MAY_REVEAL` reveal the bytes of a secret', () => {
    const revealing = sources.filter(
      ({ path, text }) => path !== 'core/secret-value.ts' && /\.reveal(Text)?\(/.test(text),
    );
    expect(revealing.map(({ path }) => path).sort()).toEqual(Object.keys(MAY_REVEAL).sort());
  });

  it('every `catch` clause names the caught error', () => {
    const bare = sources.filter(({ text }) => /\bcatch\s*\{/.test(text) || /\.catch\(\(\)\s*=>/.test(text));
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  it('no file spreads a list into the arguments of a call, which overflows the stack', () => {
    const spreading = sources.filter(({ text }) =>
      /\.(?:push|unshift)\([^(){]*\.\.\.|\b(?:Math\.(?:max|min)|fromCharCode)\([^(){]*\.\.\./.test(text),
    );
    expect(spreading.map(({ path }) => path)).toEqual([]);
  });

  it('only main.ts accesses the environment and exits the process', () => {
    const reaching = sources.filter(({ text }) => /\bprocess\.(env|exit|argv|on)\b/.test(text));
    expect(reaching.map(({ path }) => path)).toEqual(['main.ts']);
  });
});

describe('sizes of the sources', () => {
  const sizes = measure(sources);

  it.each(Object.keys(BOUNDS) as BoundName[])(
    'the sizes of all %s stay within the limit, unless a listed exception allows another size',
    (bound) => {
      expect(findSizeProblems(bound, sizes[bound], EXCEPTIONS[bound])).toEqual([]);
    },
  );

  it('reports each part that violates its limit without a sufficient exception, and each exception that no part needs', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const text = `export interface LargeDeps { ${names.map((name) => `${name}: 1;`).join(' ')} }
      class Large { #run(${names.join(', ')}) {${'\n'.repeat(60)}} }`;
    const found = measure([{ path: 'a.ts', text }]);
    expect(findSizeProblems('functions', found.functions, {})).toEqual([
      'a.ts run: 61, allowed is at most 60',
    ]);
    expect(findSizeProblems('parameters', found.parameters, {})).toEqual([
      'a.ts run: 7, allowed is at most 6',
    ]);
    expect(findSizeProblems('dependencies', found.dependencies, { 'a.ts LargeDeps': 7 })).toEqual([]);
    expect(findSizeProblems('files', { 'a.ts': 29, 'b.ts': 30 }, { 'b.ts': 20 })).toEqual([
      'a.ts: 29, allowed is at least 30',
      'b.ts: needs no exception',
    ]);
  });
});

describe('README files of the source folders', () => {
  const folders = Object.keys(MAY_IMPORT).map((name) => [name] as const);
  const readmeOf = (name: string): Page => {
    const path = join('src', name, 'README.md');
    return { path, text: readFileSync(join(ROOT, path), 'utf8') };
  };

  it('`MAY_IMPORT` lists every folder of `src`', () => {
    const entries = readdirSync(SRC, { withFileTypes: true });
    expect(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)).toEqual(
      Object.keys(MAY_IMPORT).sort(),
    );
  });

  it.each(folders)('the README of %s has at most 40 lines and names only existing files', (name) => {
    const page = readmeOf(name);
    expect(page.text.split('\n').length).toBeLessThanOrEqual(41);
    const places = [join(SRC, name), SRC, ROOT];
    const missing = namedFilesOf(page).filter(
      (file) => !places.some((place) => globSync(file, { cwd: place }).length > 0),
    );
    const broken = linksOf(page).filter((link) => !existsSync(join(SRC, name, link.replace(/#.*/, ''))));
    expect([...missing, ...broken]).toEqual([]);
  });

  it.each(folders)(
    'the README of %s names exactly the folders from which files of this folder may import',
    (name) => {
      const [, section = ''] = readmeOf(name).text.split('\n## May import\n');
      const named = codeSpans(section.split('\n## ')[0] ?? '').map((span) => folder(span));
      expect([...new Set(named)].sort()).toEqual([...new Set(MAY_IMPORT[name]?.map(folder))].sort());
    },
  );
});

describe('the architecture page', () => {
  it('the architecture page names only existing files', () => {
    const path = 'docs/explanation/architecture.md';
    const text = readFileSync(join(ROOT, path), 'utf8');
    const files = [...text.matchAll(/[\w-]+(?:\/[\w-]+)+\.ts\b/g)].map(([file]) => file);
    expect(files.length).toBeGreaterThan(10);
    const exists = (file: string) => [SRC, ROOT].some((place) => existsSync(join(place, file)));
    expect(files.filter((file) => !exists(file))).toEqual([]);
  });
});

describe('test files', () => {
  const TEST = join(ROOT, 'test');
  /**
   * Matches `it` as an arrow parameter without parentheses, as a variable, or as an entry in a list of parameters or in
   * a destructuring pattern.
   */
  const SHADOWING =
    /\bit\s*=>|\b(?:const|let|using)\s+it\s*(?:[=:;]|of\b)|(?:[([{,]|\w:)\s*it\s*[,:)?}\]=](?!\()/;

  it('test files use the name `it` only for the function that defines a test', () => {
    const paths = readdirSync(TEST, { recursive: true, encoding: 'utf8' });
    const tests = paths.filter((path) => path.endsWith('.ts'));
    const shadowing = tests.filter((path) => {
      const text = readFileSync(join(TEST, path), 'utf8');
      return SHADOWING.test(text.replaceAll(/^import\b[^;]*;/gm, ''));
    });
    expect(tests.length).toBeGreaterThan(100);
    expect(shadowing).toEqual([]);
  });
});

describe('the lock file', () => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<
      Record<string, { readonly hasInstallScript?: boolean; readonly resolved?: string }>
    >;
  };
  const packages = Object.entries(lock.packages);

  it('the lock file contains only two packages with an install script', () => {
    const running = packages.filter(([, { hasInstallScript }]) => hasInstallScript === true);
    // msgpackr-extract is an optional dependency of bullmq. The setup never runs the install script of
    // msgpackr-extract, and bullmq works without it.
    expect(running.map(([name]) => name)).toEqual([
      'node_modules/msgpackr-extract',
      'node_modules/vitepress/node_modules/esbuild',
    ]);
  });

  it('the lock file contains no address of a registry', () => {
    expect(packages.filter(([, { resolved }]) => resolved !== undefined).map(([name]) => name)).toEqual([]);
  });
});
