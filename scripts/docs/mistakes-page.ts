import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../../src/cli/cli.ts';
import { Collector, quietContext } from '../../test/cli/harness.ts';
import { MISTAKES } from '../../test/config/typical-mistakes.ts';
import { terminalPicture } from './terminal-picture.ts';

interface Section {
  readonly title: string;
  /** The name of a mistake in the list of the tests. */
  readonly mistake: string;
  readonly text: string;
}

const SECTIONS: readonly Section[] = [
  {
    title: 'A line is indented too deep',
    mistake: 'a line two spaces too deep',
    text: 'Compare the line with the line that the message names.',
  },
  {
    title: 'A list item is indented too little',
    mistake: 'a list item too shallow',
    text: 'All items of a list begin in the same column.',
  },
  {
    title: 'A section stands inside of another one',
    mistake: 'a mapping section inside of `target`',
    text: 'This is valid YAML, so the message says where the section belongs.',
  },
  {
    title: 'A tab',
    mistake: 'a tab',
    text: 'Replace the tab with spaces, and let the editor insert spaces.',
  },
  { title: 'A colon is missing', mistake: 'no colon', text: 'Write a `:` after the name.' },
  {
    title: 'A quote or a bracket is not closed',
    mistake: 'an open quote',
    text: 'The message names the line with the opening quote or bracket, and not the end of the file.',
  },
  {
    title: 'A misspelled name',
    mistake: 'a misspelled field',
    text: 'The message names the nearest name that is allowed at this place.',
  },
  {
    title: 'A kind that does not exist',
    mistake: 'a part of the name of a kind',
    text: 'The message lists all kinds. Kinds of login, of workloads and of other parts are reported in the same way.',
  },
  {
    title: 'A store that does not exist',
    mistake: 'an unknown store',
    text: 'The `store` of a source is the `name` of an entry in `stores`.',
  },
  {
    title: 'A credential in the file',
    mistake: 'a literal credential',
    text: 'The message never shows the credential. Everybody who could read the file may know it, so replace the credential in the store too.',
  },
];

/** Returns `docs/reference/configuration-mistakes.md` and its pictures. */
export async function mistakesPages(): Promise<readonly (readonly [path: string, text: string])[]> {
  const pictures: (readonly [string, string])[] = [];
  const sections: string[] = [];
  for (const { title, mistake, text } of SECTIONS) {
    const { output, description } = await validated(fileWith(mistake));
    const name = `mistake-${title.toLowerCase().replaceAll(' ', '-')}.svg`;
    pictures.push([`docs/images/${name}`, terminalPicture(output, description)]);
    sections.push(`## ${title}`, text, `![${description.replaceAll(/[[\]]/g, '\\$&')}](../images/${name})`);
  }
  const page = [HEAD, ...sections, TAIL].join('\n\n');
  return [['docs/reference/configuration-mistakes.md', page], ...pictures];
}

function fileWith(mistake: string): string {
  const text = MISTAKES.find(([name]) => name === mistake)?.[1];
  if (text === undefined) throw new Error(`there is no mistake with the name ${mistake}`);
  return text;
}

/** Runs `validate` in a folder with this file. Returns what a color terminal shows, and the message alone. */
async function validated(text: string): Promise<{ readonly output: string; readonly description: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-mistake-'));
  try {
    await writeFile(join(folder, 'secretbridge.yaml'), text);
    const print = async (color: boolean) => {
      const screen = new Collector();
      await runCli(['validate'], quietContext({ stdout: screen, stderr: screen, cwd: folder, color }));
      return screen.text;
    };
    const [place = '', ...lines] = (await print(false)).split('\n');
    const message = lines.slice(
      0,
      lines.findIndex((line) => line.includes(' | ')),
    );
    return {
      output: `$ secretbridge validate\n${await print(true)}`,
      description: [place.replaceAll(/ +/g, ' '), ...message.map((line) => line.trim())].join('. '),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const HEAD = `<!-- Generated from the output of \`secretbridge validate\` by \`npm run docs\`. Change it in scripts/docs/mistakes-page.ts. -->

# Mistakes in the configuration

\`\`\`sh
secretbridge validate
\`\`\`

\`validate\` shows each problem with its file, line, column and path, then the line itself with a mark below the mistake.
\`plan\`, \`sync\`, \`doctor\` and \`serve\` show the same text if the configuration is invalid. The sign \`…\` replaces text
that may be a value, because pipelines often keep the output in logs. These are the ten most common messages. The
[complete list](../../test/config/typical-mistakes.txt) is a test.`;

const TAIL = `## Files and variables that are missing

\`validate\` also warns of environment variables, files and folders that the configuration names and that are missing where
\`validate\` runs. They may exist where the service runs, so \`validate\` still exits with 0.

\`\`\`console
$ secretbridge validate
The configuration is valid: 1 store, 1 mapping, 1 target.
warning CREDENTIAL_MISSING: the environment variable \`VAULT_TOKEN\` is not set here (secretbridge.yaml:8:35)
\`\`\`
`;
