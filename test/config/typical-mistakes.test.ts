import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemsText } from '../../src/cli/texts/problems.ts';
import { createExcerpts } from '../../src/config/excerpt.ts';
import { loadConfig } from '../../src/config/load.ts';
import { load } from './memory-fs.ts';
import { BASE, MARKER, MISTAKES } from './typical-mistakes.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mistakes-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Returns what `validate` prints for a file. */
async function printed(text: string): Promise<string> {
  await writeFile(join(folder, 'secretbridge.yaml'), text);
  const { problems } = await loadConfig({ paths: ['secretbridge.yaml'], env: {}, cwd: folder });
  return problemsText(problems, (_, shown) => shown, folder);
}

describe('a typical mistake', () => {
  it('`validate` shows each mistake in the file, with a message that names the correction', async () => {
    const sections: string[] = [];
    for (const [name, text] of MISTAKES) sections.push(`## ${name}\n\n${await printed(text)}\n`);
    expect(MISTAKES.length).toBeGreaterThanOrEqual(60);
    expect(sections.join('')).not.toContain(MARKER);
    await expect(sections.join('\n')).toMatchFileSnapshot('typical-mistakes.txt');
  });

  it('the base file of the mistakes is valid', async () => {
    expect(await printed(BASE)).toContain('0 problems');
  });

  it.each(MISTAKES)('`validate` reports %s', async (_, text) => {
    expect(await printed(text)).not.toContain('0 problems');
  });
});

/** A file with a literal value in every place where a person might put one. */
const LITERALS = BASE.replace('{ env: VAULT_TOKEN }', MARKER)
  .replace('address: https://', `address: https://user:${MARKER}@`)
  .replace(
    '  - { name: local',
    `    auth:\n      method: static\n      secretAccessKey: ${MARKER} # old: ${MARKER}\n  - { name: local`,
  )
  .replace('| json }}', `| json }} ${MARKER}`)
  .replace(
    '      secret: p',
    `      annotations: { note: ${MARKER} }\n      labels:\n        team: ${MARKER}\n      secret: p`,
  )
  .replace('{ store: aws-prod, key: payments/api }', `{ store: aws-prod, value: ${MARKER} }`)
  .concat(
    `    template:\n      data:\n        file: |\n          first\n          ${MARKER}\n    password: ${MARKER}\n`,
  );

describe('an excerpt', () => {
  it('an excerpt contains no literal value, however the file is damaged', async () => {
    const damage = fc.record({
      at: fc.nat(LITERALS.length),
      remove: fc.integer({ min: 0, max: 3 }),
      insert: fc.constantFrom(
        '',
        ' ',
        '  ',
        '\n',
        ':',
        ': ',
        '"',
        "'",
        '{',
        '}',
        '[',
        ']',
        '- ',
        ',',
        '|',
        '#',
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
        const text = damages.reduce(
          (before, { at, remove, insert }) => before.slice(0, at) + insert + before.slice(at + remove),
          LITERALS,
        );
        const excerptOf = createExcerpts(() => text);
        // An excerpt of each line, not only of the lines with a problem.
        for (let line = 1; line <= text.split('\n').length; line++) {
          const place = {
            file: 'f',
            line,
            column: 1,
            path: '',
            message: '',
            code: 'CONFIG_INVALID',
          } as const;
          expect(excerptOf(place)?.line ?? '').not.toMatch(new RegExp(MARKER.slice(2, 9)));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('an excerpt shows the names and settings of a valid file', async () => {
    const excerptOf = createExcerpts(() => BASE);
    const lines = BASE.split('\n').map((_, index) => {
      const place = {
        file: 'f',
        line: index + 1,
        column: 1,
        path: '',
        message: '',
        code: 'CONFIG_INVALID',
      } as const;
      return excerptOf(place)?.line ?? '';
    });
    const shown = BASE.replace('VAULT_TOKEN', '…').replace("'password: {{ DB_PASSWORD | json }}'", '…');
    // A long line is cut.
    expect(lines.map((line) => line.slice(0, 65))).toEqual(
      shown.split('\n').map((line) => line.slice(0, 65)),
    );
  });

  it('an excerpt of a long line shows the part with the problem', async () => {
    const long = BASE.replace('{ namespace: shop }', `{ namespaces: [${'shop, '.repeat(100)}Shop] }`);
    const { problems } = await load({ '/home/ann/secretbridge.yaml': long });
    const [excerpt] = problems.filter(({ path }) => path.endsWith('[100]')).map(createExcerpts(() => long));
    expect(excerpt?.line.length).toBeLessThan(75);
    expect(excerpt?.line.slice(excerpt.caret.length - 4, excerpt.caret.length)).toBe('Shop');
  });

  it('shows no excerpt of a large file, and of a file that cannot be read', async () => {
    const problem = { file: 'f', line: 1, column: 1, path: '', message: '', code: 'CONFIG_INVALID' } as const;
    expect(createExcerpts(() => `${BASE}#${' '.repeat(600_000)}`)(problem)).toBeUndefined();
    expect(createExcerpts(() => undefined)(problem)).toBeUndefined();
  });
});
