import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../docs/markdown.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };

describe('the files of the chart', () => {
  it('name the version of the program', () => {
    expect(parse(read('deploy/chart/Chart.yaml'))).toMatchObject({ version, appVersion: version });
    expect(read('Dockerfile')).toContain(`org.opencontainers.image.version="${version}"`);
  });

  it('have the alerts of the page about watching', () => {
    const page = read('docs/how-to/watch-the-bridge.md');
    const [, block = ''] = /```yaml\n(apiVersion: monitoring[\s\S]*?)```/.exec(page) ?? [];
    const { spec } = parse(block) as { spec: object };
    expect(parse(read('deploy/chart/files/alerts.yaml'))).toEqual(spec);
  });

  it('ask about metrics that exist', () => {
    const asked = read('deploy/chart/files/alerts.yaml').match(/secretbridge_[a-z_]+/g) ?? [];
    const known = read('docs/reference/metrics.md');
    expect(asked.length).toBeGreaterThan(10);
    for (const metric of asked) expect(known).toContain(`\`${metric}\``);
  });

  it('describe every value, and no other', () => {
    const values = parse(read('deploy/chart/values.yaml')) as object;
    const schema = JSON.parse(read('deploy/chart/values.schema.json')) as { properties: object };
    const described = Object.keys(schema.properties).filter((name) => name !== 'global');
    expect(described.toSorted()).toEqual(Object.keys(values).toSorted());
  });
});

describe('the Dockerfile', () => {
  it('starts from the Node that the tests run with', () => {
    const [, node] = /NODE_VERSION = '([\d.]+)'/.exec(read('scripts/with-node.js')) ?? [];
    expect(node).toBeDefined();
    expect(read('Dockerfile')).toContain(`NODE_IMAGE=node:${node}-`);
  });

  it('runs as a user that is not root, and starts no shell', () => {
    const text = read('Dockerfile');
    expect(text).toMatch(/^USER 10001:10001$/m);
    const last = text.slice(text.lastIndexOf('\nFROM '));
    expect(last).not.toMatch(/^RUN /m);
    for (const [, form] of last.matchAll(/^(?:ENTRYPOINT|CMD| {2}CMD) (.)/gm)) expect(form).toBe('[');
  });

  it('is given nothing but what it takes', () => {
    const lines = read('.dockerignore').split('\n');
    expect(lines).toContain('*');
    for (const line of lines.filter((one) => one.startsWith('!')))
      expect(() => read(`${line.slice(1)}`)).not.toThrow(/ENOENT/);
  });
});
