import { z } from 'zod';
import { isValidPath, PATH_RULE } from '../credentials.ts';

export const FilesConfig = z
  .strictObject({
    kind: z.literal('files'),
    path: z
      .string()
      .min(1)
      .refine(isValidPath, { error: PATH_RULE })
      .meta({
        description:
          'The folder. Keys are file paths relative to it, with extension. Files outside it are never read. Replace a file ' +
          'by renaming a complete file over it. A file that is written in place may be read half-written.',
        examples: ['./secrets'],
      }),
  })
  .meta({ title: 'A folder of files' });
export type FilesConfig = z.output<typeof FilesConfig>;
