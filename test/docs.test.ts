import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { generatedPages } from '../scripts/docs/pages.ts';
import { exitCodeOf } from '../src/cli/errors.ts';
import { ERRORS, type ErrorCode } from '../src/core/error-codes.ts';
import { AppError } from '../src/core/errors.ts';
import { DECODINGS, type Source } from '../src/core/mapping.ts';
import { SecretValue } from '../src/core/secret-value.ts';
import { targetKey } from '../src/sync/target-key.ts';
import { pickValue } from '../src/sync/value.ts';
import { linesOf, load } from './config/memory-fs.ts';
import { commandLinesOf, inlineCallsOf, usageProblem } from './docs/commands.ts';
import { type JsonSchema, unknownPaths } from './docs/json-schema.ts';
import {
  allPages,
  anchorsOf,
  blocksOf,
  linksOf,
  type Page,
  proseOf,
  ROOT,
  tableOf,
} from './docs/markdown.ts';
import { kubernetesVersions } from './integration/services/kubernetes-install.ts';
import { LOCALSTACK_VERSION } from './integration/services/localstack.ts';
import { OPENBAO_VERSION } from './integration/services/openbao.ts';

const pages = allPages();
const blocks = pages.flatMap(blocksOf);
const page = (path: string): Page => {
  const match = pages.find((one) => one.path === path);
  if (match === undefined) throw new Error(`there is no page ${path}`);
  return match;
};
const casesOf = (list: readonly Page[]) => list.map((one) => [one.path, one] as const);

describe('generated pages', () => {
  it('generated pages are up to date (`npm run docs` generates them)', async () => {
    for (const [path, text] of await generatedPages())
      expect(readFileSync(join(ROOT, path), 'utf8') === text, `${path} is stale`).toBe(true);
  });

  it('the error page has one section for each error, and no other section', () => {
    const headings = [...page('docs/reference/errors.md').text.matchAll(/^### (.+)\n\n(.+)$/gm)];
    expect(headings.map(([, code]) => code).sort()).toEqual(Object.keys(ERRORS).sort());
    for (const [, code = '', paragraph = ''] of headings) {
      expect(paragraph, code).toContain(ERRORS[code as keyof typeof ERRORS].remedy);
      const exitCode = exitCodeOf(new AppError(code as ErrorCode));
      expect(paragraph, code).toContain(`Exit code ${exitCode}.`);
    }
  });
});

describe('links', () => {
  it.each(casesOf(pages))('all links of %s have existing targets', (path, from) => {
    for (const link of linksOf(from)) {
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : relative(ROOT, resolve(ROOT, dirname(path), file));
      expect(existsSync(join(ROOT, target)), `${path}: ${link}`).toBe(true);
      if (anchor !== undefined) expect([...anchorsOf(page(target))], `${path}: ${link}`).toContain(anchor);
    }
  });

  it('every page can be reached by links from the README', () => {
    const reached = new Set(['README.md']);
    for (const path of reached)
      for (const link of linksOf(page(path))) {
        const target = relative(ROOT, resolve(ROOT, dirname(path), link.split('#')[0] ?? ''));
        if (target.endsWith('.md')) reached.add(target);
      }
    const orphans = pages.map(({ path }) => path).filter((path) => !reached.has(path));
    expect(orphans).toEqual([]);
  });
});

describe('examples', () => {
  const yaml = blocks.filter(({ language }) => language === 'yaml');

  it('the pages contain YAML examples and command lines', () => {
    expect(yaml.length).toBeGreaterThan(5);
    expect(blocks.flatMap(commandLinesOf).length).toBeGreaterThan(30);
  });

  it.each(yaml.map((block) => [block.location, block.text] as const))(
    'the YAML example at %s contains valid configurations or Kubernetes objects',
    async (place, text) => {
      const documents = parseAllDocuments(text);
      for (const document of documents) {
        expect(document.errors, place).toEqual([]);
        const part = (document.toJS() ?? {}) as Readonly<Record<string, unknown>>;
        if (part.apiVersion === undefined || part.apiVersion === 'secretbridge.dev/v1') {
          // Load a complete configuration unchanged, because a change could shift the reported line numbers.
          const whole = documents.length === 1 && part.apiVersion !== undefined ? text : completeConfig(part);
          const tenants = foldersIncludedBy(part).map((path) => [
            `/home/ann/${path}/a.yaml`,
            'mappings: []\n',
          ]);
          const files = { ...Object.fromEntries(tenants), '/home/ann/secretbridge.yaml': whole };
          expect(linesOf(await load(files)), place).toEqual([]);
        } else if (part.kind === 'List' || isConfigurationOfKubernetes(part.apiVersion)) {
          expect(part, place).toMatchObject({ kind: expect.any(String) });
        } else {
          expect(part, place).toMatchObject({
            kind: expect.any(String),
            metadata: { name: expect.any(String) },
          });
        }
      }
    },
  );

  it('examples of chart values (`yml`) contain only known values', async () => {
    const schema = JSON.parse(
      readFileSync(join(ROOT, 'deploy/chart/values.schema.json'), 'utf8'),
    ) as JsonSchema;
    const values = blocks.filter(({ language }) => language === 'yml');
    expect(values.length).toBeGreaterThan(3);
    for (const { location: place, text } of values)
      for (const document of parseAllDocuments(text)) {
        expect(document.errors, place).toEqual([]);
        const { config, ...others } = document.toJS() as Readonly<Record<string, unknown>>;
        expect(unknownPaths(schema, others), place).toEqual([]);
        const whole = completeConfig((config ?? {}) as Readonly<Record<string, unknown>>);
        expect(linesOf(await load({ '/home/ann/secretbridge.yaml': whole })), place).toEqual([]);
      }
  });

  it('examples in JSON can be parsed', () => {
    for (const { language, text, location: place } of blocks)
      if (language === 'json') expect(() => JSON.parse(text), place).not.toThrow();
  });

  it('the program accepts all command lines on the pages', async () => {
    const calls = [...blocks.flatMap(commandLinesOf), ...pages.flatMap(inlineCallsOf)];
    const problems: string[] = [];
    for (const call of calls) {
      const problem = await usageProblem(call);
      if (problem !== undefined) problems.push(`${call.place}: ${problem}`);
    }
    expect(problems).toEqual([]);
  });

  it('all npm scripts on the pages are in package.json', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const shellBlocks = blocks.filter(({ language }) => language === 'sh' || language === 'console');
    const usedScripts = [...shellBlocks.map(({ text }) => text), ...pages.map(proseOf)]
      .flatMap((text) => [...text.matchAll(/\bnpm (?:run (?:(?:--silent|-s) )?([\w:-]+)|(test)\b)/g)])
      .map(([, script, test]) => script ?? test ?? '');
    expect(usedScripts).toEqual(expect.arrayContaining(['quickstart', 'test']));
    expect(usedScripts.filter((script) => scripts[script] === undefined)).toEqual([]);
    expect(page('README.md').text).toMatch(/^npm run quickstart\b[\s\S]*^npm test\b/m);
  });
});

describe('the page on values', () => {
  const values = page('docs/reference/values.md');

  it.each(tableOf(values, 'the store holds', 'property', 'decode', 'the key holds'))(
    'documents the correct result of %s with property "%s", decode "%s": %s',
    (stored = '', property, decode, expected) => {
      const source: Source = {
        store: 's',
        key: 'k',
        optional: false,
        ...(property ? { property } : {}),
        ...decodeOf(decode),
      };
      const actual = outcome(() =>
        Buffer.from(pickValue(source, { value: SecretValue.fromText(stored) }).reveal()).toString('utf8'),
      );
      expect(actual).toBe(expected);
    },
  );

  it.each(tableOf(values, 'name in the store', 'rename', 'key'))(
    'documents the correct key of the name %s with rename %s: %s',
    (name = '', rename, expected) => {
      expect(outcome(() => targetKey(name, rename ? parse(rename) : undefined, 'a test'))).toBe(expected);
    },
  );
});

/**
 * Adds `apiVersion`, `instance: a` and the store `team-vault` to a part of a configuration, unless the part contains
 * them. Examples can omit these fields.
 */
function completeConfig(part: Readonly<Record<string, unknown>>): string {
  const store = { name: 'team-vault', kind: 'files', path: './secrets' };
  return JSON.stringify({ apiVersion: 'secretbridge.dev/v1', instance: 'a', stores: [store], ...part });
}

/**
 * Whether the `apiVersion` belongs to a configuration file of a Kubernetes program. Such a file is not a cluster object
 * and has no name.
 */
function isConfigurationOfKubernetes(apiVersion: unknown): boolean {
  return /^(apiserver\.config\.k8s\.io|kubelet\.config\.k8s\.io|kind\.x-k8s\.io|audit\.k8s\.io)\//.test(
    `${apiVersion}`,
  );
}

function foldersIncludedBy({ include }: Readonly<Record<string, unknown>>): readonly string[] {
  return Array.isArray(include) ? include.map(({ path }: { path: string }) => path) : [];
}

/** Returns the result of `work`, or the code of its error. */
function decodeOf(text: string | undefined): Pick<Source, 'decode'> {
  const decode = DECODINGS.find((each) => each === text);
  return decode === undefined ? {} : { decode };
}

function outcome(work: () => string): string {
  try {
    return work();
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

describe('decisions', () => {
  const files = pages.filter(({ path }) => /^docs\/adr\/\d{4}-/.test(path));

  it('decisions are numbered without gaps, and the table lists every decision', () => {
    const numbers = files.map(({ path }) => Number(path.slice('docs/adr/'.length, 'docs/adr/'.length + 4)));
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    const rows = tableOf(page('docs/adr/README.md'), '', '');
    expect(rows).toEqual(
      files.map(({ path, text }) => {
        const [, number, title] = /^# (\d{4})\. (.+)$/m.exec(text) ?? [];
        return [`[${number}](${path.slice('docs/adr/'.length)})`, title];
      }),
    );
  });

  it.each(casesOf(files))('the decision %s has the required sections', (_, { text }) => {
    expect([...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual([
      'Context',
      'Decision',
      'Consequences',
    ]);
    expect(text).toMatch(/^Status: (accepted|replaced by \[\d{4}\])/m);
  });
});

describe('dependencies', () => {
  it('the page on dependencies lists exactly the packages that the program imports', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const source = globSync('src/**/*.ts', { cwd: ROOT })
      .map((path) => readFileSync(join(ROOT, path), 'utf8'))
      .join('\n');
    const imported = Object.keys(dependencies).filter(
      (name) => source.includes(`'${name}'`) || source.includes(`'${name}/`),
    );
    const listed = tableOf(page('docs/dependencies.md'), 'package').map(([name]) => name ?? '');
    expect(listed).toEqual(imported.sort());
  });

  it('docker-compose.yml has the versions of the test servers', () => {
    const compose = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')) as {
      services: Record<string, { image: string; healthcheck: object }>;
    };
    const image = (service: string) => compose.services[service]?.image.split('@')[0];
    expect(image('openbao')).toBe(`openbao/openbao:${OPENBAO_VERSION}`);
    expect(image('localstack')).toBe(`localstack/localstack:${LOCALSTACK_VERSION}`);
    expect(image('kubernetes')).toBe(`rancher/k3s:v${kubernetesVersions().kubernetes}-k3s1`);
    for (const [name, { healthcheck }] of Object.entries(compose.services))
      expect(healthcheck, name).toBeDefined();
  });
});

describe('pages', () => {
  it.each(casesOf(pages))('%s contains no path that exists only on one machine', (_, { text }) => {
    expect(text).not.toMatch(/(?<![\w.~-])\/(?:root|home|Users|work|tmp)\//);
  });

  it('every page begins with a heading', () => {
    for (const { path, text } of pages)
      expect(text.replace(/^<!--.*?-->\s*/s, '').startsWith('# '), path).toBe(true);
  });
});
