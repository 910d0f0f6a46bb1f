import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { parse, YAMLParseError } from 'yaml';
import { helpContext } from '../../scripts/docs/cli-page.ts';
import { buildProgram } from '../../src/cli/cli.ts';
import { ERRORS } from '../../src/core/error-codes.ts';
import { FOREIGN_NAMES } from './exceptions.ts';
import { hasPath, type JsonSchema, propertyNames } from './json-schema.ts';
import { type Block, type Page, proseOf, ROOT } from './markdown.ts';
import { expressionProblems, isMetric } from './promql.ts';

/** A code span in a sentence, with its page. */
export interface Span {
  readonly text: string;
  readonly page: Page;
}

export function spansOf(page: Page): readonly Span[] {
  // A span between double backticks may contain a single backtick.
  const matches = proseOf(page).matchAll(/(?<!`)(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)/g);
  return [...matches].map(([, , text = '']) => ({ text: text.trim(), page }));
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const textOf = (...patterns: readonly string[]): string =>
  globSync(patterns, { cwd: ROOT }).map(read).join('\n');

const schemaAt = (path: string): JsonSchema => JSON.parse(read(path)) as JsonSchema;

/** The names of the program and of its chart. The documentation may use these names. */
export interface KnownNames {
  /** All words of the source files. The checks use these words for kinds of names that have no list of their own. */
  readonly words: ReadonlySet<string>;
  readonly options: ReadonlySet<string>;
  readonly config: JsonSchema;
  readonly chart: JsonSchema;
  readonly configNames: ReadonlySet<string>;
  readonly http: string;
  /** The exceptions that the pages have used so far. A test reports the unused exceptions. */
  readonly used: Set<string>;
}

export async function collectKnownNames(): Promise<KnownNames> {
  const config = schemaAt('docs/reference/secretbridge.schema.json');
  const chart = schemaAt('deploy/chart/values.schema.json');
  const sources = textOf(
    'src/**/*.{ts,sql,js,html}',
    'scripts/**/*.ts',
    'test/{integration/services,game-day}/*.ts',
  );
  return {
    words: new Set(sources.match(/[A-Za-z_][A-Za-z0-9_]*/g)),
    options: new Set(optionsOf(await buildProgram(helpContext([]), async () => undefined))),
    config,
    chart,
    configNames: propertyNames(config),
    http: read('docs/reference/http.md'),
    used: new Set(),
  };
}

function optionsOf(command: Command): readonly string[] {
  return [
    ...command.options.flatMap(({ long, short }) => [long, short]),
    '--help',
    ...command.commands.flatMap(optionsOf),
  ].filter((option) => option !== undefined && option !== null);
}

/**
 * Returns the problem with a name in a code span. Returns undefined for a correct name, and for a name of another
 * program.
 */
export function nameProblem(
  { text, page }: Span,
  blocks: readonly Block[],
  knownNames: KnownNames,
): string | undefined {
  const listed = (path: string, name: string): boolean =>
    FOREIGN_NAMES[path]?.[name] !== undefined && Boolean(knownNames.used.add(`${path} ${name}`));
  const isForeign = (name: string): boolean =>
    blocks.some((block) => hasWord(block.text, name)) || listed(page.path, name) || listed('*', name);

  if (text.includes('secretbridge_') && !/^\w*[…*]?$/.test(text)) return expressionProblems(text)[0];
  if (/^(secretbridge|nodejs|process)_\w*[…*]?$/.test(text))
    return isMetric(text) || knownNames.words.has(text) ? undefined : 'no such metric';

  if (/^[A-Z][A-Z0-9]{3,}$|^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/.test(text)) {
    if (text in ERRORS || knownNames.words.has(text) || isForeign(text)) return undefined;
    return 'neither an error code nor a variable';
  }

  const option = /^(--[a-z][a-z0-9-]*)/.exec(text)?.[1];
  if (option !== undefined)
    return knownNames.options.has(option) || isForeign(option) ? undefined : 'no command has this option';

  if (/^((GET|POST|PUT|DELETE) )?\/(api|events|livez|readyz|metrics|revision)\b/.test(text)) {
    const request = text.replace(/\?.*$/, '');
    return knownNames.http.includes(request) || knownNames.words.has(request.replace(/^\w+ \//, ''))
      ? undefined
      : 'no such request';
  }

  const annotation = /^([a-z]+\.)?secretbridge\.dev\/([\w-]+)/.exec(text)?.[2];
  if (
    annotation !== undefined &&
    annotation !== 'v1' &&
    !knownNames.words.has(annotation.split('-')[0] ?? '')
  )
    return 'no such label or annotation';

  if (/^(src|test|docs|scripts|deploy|bench|examples)\/\S+$/.test(text))
    return globSync(text.replaceAll(/<\w+>/g, '*'), { cwd: ROOT }).length > 0 ? undefined : 'no such file';

  return configProblem(text, knownNames, isForeign);
}

/**
 * A text with one of these extensions is the name of a file, although `name.extension` looks like a configuration path.
 */
const FILE = /\.(ts|js|md|json|jsonl|ya?ml|db|key|pub|crt|pem|token|txt|dev|py|tpl)$/;

function configProblem(
  text: string,
  knownNames: KnownNames,
  isForeign: (name: string) => boolean,
): string | undefined {
  const { configNames, words } = knownNames;
  if (/^[a-z]\w*(\.[a-z]\w*)+$/i.test(text) && !FILE.test(text)) {
    const [first = '', ...rest] = text.split('.');
    if (!configNames.has(first) || isForeign(text)) return undefined;
    const places = [knownNames.config, ...withMember(knownNames.config, first), knownNames.chart];
    return places.some((place) => hasPath(knownNames.config, [first, ...rest], place)) ||
      hasPath(knownNames.chart, [first, ...rest])
      ? undefined
      : 'no such path in the configuration';
  }
  if (/^[a-z]+[A-Z]\w*$/.test(text))
    return configNames.has(text) || words.has(text) || isForeign(text) ? undefined : 'unknown name';
  if (
    /^[a-zA-Z]\w*: \S/.test(text) &&
    !text.includes('?') &&
    !/: .*[a-z]: /.test(text.replaceAll(/[{[].*/g, ''))
  ) {
    const names = namesIn(text);
    const unknown = names.filter((name) => !configNames.has(name) && !words.has(name) && !isForeign(name));
    return unknown.length === 0 ? undefined : `the configuration has no \`${unknown.join('`, `')}\``;
  }
  return undefined;
}

function namesIn(text: string): readonly string[] {
  const names: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (!Array.isArray(value)) names.push(...Object.keys(value));
    for (const member of Object.values(value)) walk(member);
  };
  try {
    walk(parse(text));
  } catch (error) {
    if (error instanceof YAMLParseError) return [];
    throw error;
  }
  return names;
}

/** Returns all objects in a schema that have a member of this name. */
function withMember(schema: JsonSchema, name: string): readonly JsonSchema[] {
  const schemas: JsonSchema[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ((value as JsonSchema).properties?.[name] !== undefined) schemas.push(value as JsonSchema);
    for (const member of Object.values(value)) walk(member);
  };
  walk(schema);
  return schemas;
}

function hasWord(text: string, word: string): boolean {
  return text.split(/[^A-Za-z0-9_.-]+/).some((part) => part === word || part.replace(/\.$/, '') === word);
}
