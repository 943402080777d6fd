import { z } from '../../contracts/zod.js';

/** An image as a data URL, or by its address. */
const imageUrl = z
  .string()
  .regex(
    /^(data:image\/[\w.+-]+;base64,[\w+/=]+|https?:\/\/\S+)$/,
    'expected an image as a base64 data URL, or an http(s) URL where the model server fetches it',
  );

const image = z.union([imageUrl, z.looseObject({ url: imageUrl, detail: z.string().nullish() })]);
const source = z.looseObject({
  type: z.literal('base64'),
  media_type: z.string().regex(/^image\/[\w.+-]+$/),
  data: z.string().regex(/^[\w+/=]+$/, 'expected base64'),
});

/** Content parts of OpenAI's API, and those of other APIs that clients pass on. */
export const part = z.discriminatedUnion('type', [
  z.looseObject({ type: z.enum(['text', 'input_text', 'output_text']), text: z.string() }),
  z.looseObject({ type: z.literal('refusal'), refusal: z.string() }),
  z.looseObject({ type: z.literal('thinking'), thinking: z.unknown() }),
  z.looseObject({ type: z.literal('reasoning'), text: z.string().nullish() }),
  z.looseObject({ type: z.literal('redacted_thinking') }),
  z.looseObject({
    type: z.enum(['image_url', 'input_image']),
    image_url: image,
    detail: z.string().nullish(),
  }),
  z.looseObject({ type: z.literal('image'), source }),
  z.looseObject({ type: z.enum(['file', 'input_file', 'input_audio', 'video_url', 'audio_url']) }),
]);

/** One part of a message. */
export type Part = z.output<typeof part>;
