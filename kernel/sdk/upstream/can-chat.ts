/** What models are called that answer no chat: they embed, rank, hear, speak, draw or judge. A last resort. */
const otherUse =
  /embed|(^|[/_.-])(bge|gte|e5|minilm|all-minilm|paraphrase|sentence|colbert|rerank(er)?|whisper|tts|stt|asr|kokoro|clip|siglip|sdxl|flux|sora|imagen|veo|dall-e|gpt-image|chatgpt-image|moderation|transcribe|realtime|davinci|babbage)([/_.:-]|\d|$)|stable-diffusion|-(transcribe|realtime|tts|moderation|rerank)\b/i;

/** Whether a model of this name may be one that answers. */
export function soundsLikeChat(name: string): boolean {
  return !otherUse.test(name);
}
