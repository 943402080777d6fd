import { z } from '#zod';

/** An image by what it is, or by where it is. */
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

/** The kinds of content that clients send; each is OpenAI's, or that of an API whose messages are passed on here. */
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

/** One of them. */
export type Part = z.output<typeof part>;
