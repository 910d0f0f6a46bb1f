import { z } from 'zod';

export const FilesConfig = z
  .strictObject({
    kind: z.literal('files'),
    path: z
      .string()
      .min(1)
      .meta({
        description:
          'The folder. Keys are paths relative to it, with extension; nothing outside it is ever read.',
        examples: ['./secrets'],
      }),
  })
  .meta({ title: 'A folder of files' });
export type FilesConfig = z.output<typeof FilesConfig>;
