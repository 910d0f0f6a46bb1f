import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../docs/markdown.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };

describe('the files of the chart', () => {
  it('the chart has the version of the program', () => {
    expect(parse(read('deploy/chart/Chart.yaml'))).toMatchObject({ version, appVersion: version });
    expect(read('Dockerfile')).toContain(`org.opencontainers.image.version="${version}"`);
  });

  it('the chart includes the documented alerts, each with a link to its documentation', () => {
    const path = 'docs/how-to/watch-the-bridge.md';
    const headings = [...read(path).matchAll(/^### (Secretbridge\w+)\n\n\S/gm)].map(([, name]) => name);
    const { groups } = parse(read('deploy/chart/files/alerts.yaml')) as {
      groups: { rules: { alert: string; labels: object; annotations: object }[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.map(({ alert }) => alert)).toEqual(headings);
    for (const { alert, labels, annotations } of rules) {
      expect(labels).toEqual({ severity: expect.stringMatching(/^(critical|warning)$/) });
      expect(annotations).toEqual({
        summary: expect.stringMatching(/^[A-Z]/),
        description: expect.stringMatching(/\.$/),
        runbook_url: `${path}#${alert.toLowerCase()}`,
      });
    }
  });

  it('the schema describes exactly the values of the chart', () => {
    const schema = JSON.parse(read('deploy/chart/values.schema.json')) as SchemaNode;
    const { global: _, config: __, ...properties } = schema.properties ?? {};
    const { config: ___, ...values } = parse(read('deploy/chart/values.yaml')) as Record<string, unknown>;
    expect(namesIn(values, { properties }).toSorted()).toEqual(namesOf({ properties }).toSorted());
  });
});

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
}

/** Returns the paths of all values in the schema. */
function namesOf({ properties = {} }: SchemaNode, path = ''): readonly string[] {
  return Object.entries(properties).flatMap(([name, node]) => [
    `${path}${name}`,
    ...namesOf(node, `${path}${name}.`),
  ]);
}

/** Returns the paths of the given values, down to the depth that the schema describes. */
function namesIn(values: unknown, { properties }: SchemaNode, path = ''): readonly string[] {
  if (properties === undefined || typeof values !== 'object' || values === null) return [];
  return Object.entries(values).flatMap(([name, node]) => [
    `${path}${name}`,
    ...namesIn(node, properties[name] ?? {}, `${path}${name}.`),
  ]);
}

describe('the Dockerfile', () => {
  it('the image uses the Node version of the tests', () => {
    const [, node] = /NODE_VERSION = '([\d.]+)'/.exec(read('scripts/with-node.js')) ?? [];
    expect(node).toBeDefined();
    expect(read('Dockerfile')).toContain(`NODE_IMAGE=node:${node}-`);
  });

  it('the image runs as a user other than root, and needs no shell', () => {
    const text = read('Dockerfile');
    expect(text).toMatch(/^USER 10001:10001$/m);
    const last = text.slice(text.lastIndexOf('\nFROM '));
    expect(last).not.toMatch(/^RUN /m);
    for (const [, form] of last.matchAll(/^(?:ENTRYPOINT|CMD| {2}CMD) (.)/gm)) expect(form).toBe('[');
  });

  it('the Dockerfile copies only existing files from its build context', () => {
    const lines = read('.dockerignore').split('\n');
    expect(lines).toContain('*');
    for (const line of lines.filter((node) => node.startsWith('!')))
      expect(() => read(`${line.slice(1)}`)).not.toThrow(/ENOENT/);
  });
});
