/** Names of models that cannot chat: embedding, ranking, speech, image and moderation models. */
const otherUse =
  /embed|(^|[/_.-])(bge|gte|e5|minilm|all-minilm|paraphrase|sentence|colbert|rerank(er)?|whisper|tts|stt|asr|kokoro|clip|siglip|sdxl|flux|sora|imagen|veo|dall-e|gpt-image|chatgpt-image|moderation|transcribe|realtime|davinci|babbage)([/_.:-]|\d|$)|stable-diffusion|-(transcribe|realtime|tts|moderation|rerank)\b/i;

/** Guesses from its name whether a model can chat, where the server does not say. */
export function soundsLikeChat(name: string): boolean {
  return !otherUse.test(name);
}

/** Names of embedding models. */
const embeds = /embed|(^|[/_.-])(bge|gte|e5|minilm|paraphrase|sentence|colbert)([/_.:-]|\d|$)/i;

/** Guesses from its name whether a model makes embeddings, where the server does not say. */
export function soundsLikeEmbedding(name: string): boolean {
  return embeds.test(name) && !/rerank/i.test(name);
}
