import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { allPages, blocksOf, proseOf, ROOT, tableOf } from './markdown.ts';
import { expressionProblems } from './promql.ts';

const pages = allPages();
const blocks = pages.flatMap(blocksOf);
const SCRIPT_TEXT = globSync(['scripts/**/*.{ts,js}', 'bench/**/*.ts', 'test/soak/*.ts'], { cwd: ROOT })
  .map((path) => readFileSync(join(ROOT, path), 'utf8'))
  .join('\n');

/** The allowed languages of code blocks. Each value explains how blocks of the language are checked. */
const LANGUAGES: Readonly<Record<string, string>> = {
  sh: 'commands: their calls of the program are parsed',
  console: 'a session: calls of the program in lines after `$ ` are parsed',
  yaml: 'a configuration is loaded; Kubernetes objects are checked for kind and name',
  yml: 'values of the chart: checked against its schema',
  json: 'parsed',
  mermaid: 'a diagram',
  text: 'the output of a program, or a file of another program',
  sql: 'PostgreSQL',
  ini: 'systemd',
  hcl: 'a Vault policy',
  python: 'a program',
};

describe('code blocks', () => {
  it('every code block is written in a language that these tests can check', () => {
    const unknownBlocks = blocks.filter(({ language }) => LANGUAGES[language] === undefined);
    expect(unknownBlocks.map(({ location: place, language }) => `${place} ${language}`)).toEqual([]);
  });

  it('no `text` block contains a `secretbridge` command line', () => {
    const hidden = blocks
      .filter(({ language }) => language === 'text')
      .filter(({ text }) => /^(\$ )?(secretbridge|npm run|node) /m.test(text));
    expect(hidden.map(({ location: place }) => place)).toEqual([]);
  });

  it('code blocks call only existing scripts of this repository', () => {
    const texts = [...blocks.map(({ text }) => text), ...pages.map(proseOf)];
    const calls = texts
      .flatMap((text) => [...text.matchAll(/\bnode ((?:scripts|src|bench|bin)\/\S+?\.[jt]s)\b/g)])
      .map(([, path = '']) => path);
    expect(calls.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('code blocks pass only known options to npm scripts', () => {
    const unknown = blocks
      .filter(({ language }) => language === 'sh' || language === 'console')
      .flatMap(({ text, location: place }) =>
        [...text.matchAll(/\bnpm run (?!(?:--silent )?secretbridge\b)\S+ -- ([^\n#|]*)/g)].flatMap(
          ([, options = '']) =>
            [...options.matchAll(/--([a-z-]+)/g)].map(([, option = '']) => ({ option, place })),
        ),
      )
      .filter(({ option }) => !new RegExp(`['"\`]?(--)?\\b${option}\\b`).test(SCRIPT_TEXT));
    expect(unknown).toEqual([]);
  });
});

interface Rule {
  readonly alert?: string;
  readonly expr: string;
}

interface PrometheusRule {
  readonly kind?: string;
  readonly spec: { readonly groups: readonly { readonly rules: readonly Rule[] }[] };
}

describe('alerts', () => {
  const rules = blocks
    .filter(({ language, text }) => language === 'yaml' && text.includes('PrometheusRule'))
    .flatMap(({ text, location: place }) =>
      [...parseAllDocuments(text)]
        .map((document) => document.toJS() as PrometheusRule)
        .filter(({ kind }) => kind === 'PrometheusRule')
        .flatMap(({ spec }) =>
          spec.groups.flatMap((group) => group.rules.map((rule) => ({ ...rule, place }))),
        ),
    );

  it('alerts in the documentation use only existing metrics and labels', () => {
    for (const { alert, expr, place } of rules)
      expect(expressionProblems(expr), `${place} ${alert}`).toEqual([]);
  });

  it('the table of alerts on the metrics page uses only existing metrics and labels', () => {
    const page = pages.find(({ path }) => path === 'docs/reference/metrics.md');
    if (page === undefined) throw new Error('the page on metrics is missing');
    const expressions = tableOf(page, 'when', 'what it means').map(([expr = '']) => expr);
    expect(expressions.length).toBeGreaterThan(3);
    for (const expr of expressions) expect(expressionProblems(expr)).toEqual([]);
  });
});

describe('log lines', () => {
  it('each log line on the monitoring page exists in the source code', () => {
    const page = pages.find(({ path }) => path === 'docs/how-to/watch-the-bridge.md');
    if (page === undefined) throw new Error('the page on watching is missing');
    const source = globSync('src/**/*.ts', { cwd: ROOT })
      .map((path) => readFileSync(join(ROOT, path), 'utf8'))
      .join('\n');
    const messages = tableOf(page, 'message', 'level')
      .flatMap(([cell = '']) => cell.replace(/^` ?(.*?) ?`$/, '$1').split('`, `'))
      .map((message) => message.trim());
    expect(messages.length).toBeGreaterThan(10);
    expect(messages.filter((message) => !source.includes(message))).toEqual([]);
  });
});
