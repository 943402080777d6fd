import type { Script } from './script.js';

export const german: Script = {
  marks: new Set(
    'der die das ein eine einen ich du er sie es wir ihr ist sind war bin bist mein meine dein deine was warum wie wer wann wo wieso hallo guten moin servus bitte danke ja nein nicht und oder kann kannst könnte würde habe hat fühle denke glaube möchte brauche weil mir dir mich dich tag morgen abend'.split(
      ' ',
    ),
  ),
  demoNotice:
    'Eine Vorführung, kein Modell: Es war keines erreichbar. Damit eines antwortet, Ollama starten (`ollama serve`, `ollama pull llama3.2`) oder mit OLLAMA_HOST sagen, wo es läuft.',
  reflections: {
    ich: 'Sie',
    mich: 'Sie',
    mir: 'Ihnen',
    mein: 'Ihr',
    meine: 'Ihre',
    meinen: 'Ihren',
    meiner: 'Ihrer',
    meinem: 'Ihrem',
    bin: 'sind',
    habe: 'haben',
    du: 'ich',
    dich: 'mich',
    dir: 'mir',
    dein: 'mein',
    deine: 'meine',
    deinen: 'meinen',
    bist: 'bin',
    hast: 'habe',
    uns: 'Ihnen',
    unser: 'Ihr',
    unsere: 'Ihre',
  },
  rules: [
    {
      pattern: /(?:^|\s)(hallo|hi|hey|moin|servus|grüß gott|guten (?:morgen|tag|abend))(?=\W|$)/i,
      answers: [
        'Hallo! Wie geht es Ihnen heute?',
        'Guten Tag. Worüber möchten Sie sprechen?',
        'Hallo, schön von Ihnen zu hören. Was beschäftigt Sie?',
      ],
    },
    {
      pattern: /\b(?:tschüss|auf wiedersehen|gute nacht|bis bald)(?=\W|$)/i,
      answers: [
        'Auf Wiedersehen. Es war schön, mit Ihnen zu sprechen.',
        'Passen Sie gut auf sich auf. Bis zum nächsten Mal!',
      ],
    },
    {
      pattern: /\bdank(?:e|eschön)?\b/i,
      answers: ['Gern geschehen. Gibt es noch etwas?', 'Sehr gern. Was sehen wir uns noch an?'],
    },
    {
      pattern: /\b(?:entschuldigung|tut mir leid|verzeihung)\b/i,
      answers: ['Sie müssen sich nicht entschuldigen.', 'Das macht nichts. Erzählen Sie bitte weiter.'],
    },
    {
      pattern: /\bich brauche (.+)/i,
      answers: ['Wozu brauchen Sie $1?', 'Würde es Ihnen wirklich helfen, wenn Sie $1 hätten?'],
    },
    {
      pattern: /\bich (?:will|möchte|hätte gern) (.+)/i,
      answers: ['Was würde es für Sie bedeuten: $1?', 'Seit wann wünschen Sie sich das: $1?'],
    },
    {
      pattern: /\bich kann (?:nicht|kein[en]*) ?(.*)/i,
      answers: [
        'Woher wissen Sie, dass Sie das nicht können?',
        'Was würde Ihnen dabei helfen?',
        'Haben Sie es schon versucht?',
      ],
    },
    {
      pattern: /\bich fühle mich (.+)/i,
      answers: ['Fühlen Sie sich oft $1?', 'Erzählen Sie mir mehr davon, wie es ist, sich $1 zu fühlen.'],
    },
    {
      pattern: /\bich bin (.+)/i,
      answers: ['Wie lange sind Sie schon $1?', 'Wie fühlt es sich an, $1 zu sein?', 'Sind Sie gern $1?'],
    },
    {
      pattern: /\bich (?:denke|glaube|meine|finde),? (?:dass )?(.+)/i,
      answers: ['Wie kommen Sie darauf: $1?', 'Sind Sie sich da sicher: $1?', 'Was spricht dafür: $1?'],
    },
    {
      pattern:
        /\bmein(?:e|en|em|er)? (mutter|vater|schwester|bruder|familie|frau|mann|sohn|tochter|eltern|freunde?|freundin)\b/i,
      answers: [
        'Erzählen Sie mir mehr über Ihre Familie und Ihre Freunde.',
        'Was fällt Ihnen noch ein, wenn Sie daran denken: $1?',
      ],
    },
    {
      pattern: /\bweil (.+)/i,
      answers: ['Ist das der eigentliche Grund?', 'Welche anderen Gründe fallen Ihnen ein?'],
    },
    {
      pattern: /\bwer bist du\b|\bwas bist du\b|\bwer sind sie\b/i,
      answers: [
        'Ich bin Eliza, ein kleines Programm, das antwortet, solange kein Sprachmodell verbunden ist. Und wer sind Sie?',
      ],
    },
    {
      pattern: /\b(?:bist du|du bist) (.+)/i,
      answers: ['Warum ist Ihnen wichtig, ob ich $1 bin?', 'Vielleicht bin ich $1. Was meinen Sie?'],
    },
    {
      pattern: /\b(?:kannst|könntest|würdest) du (.+)/i,
      answers: [
        'Angenommen, ich könnte das: Was würden Sie dann tun?',
        'Was würde es für Sie ändern, wenn ich das täte?',
      ],
    },
    {
      pattern: /\b(computer|maschine|programm|modell|roboter|ki)(?:n|en|e|s)?\b/i,
      answers: ['Machen Ihnen Maschinen Sorgen?', 'Was erwarten Sie von einer Maschine wie mir?'],
    },
    {
      pattern: /\b(immer|nie|niemals|alle|jeder|niemand)\b/i,
      answers: ['Wirklich: $1?', 'Fällt Ihnen eine Ausnahme ein?', 'An welches Beispiel denken Sie?'],
    },
    {
      pattern: /^(?:ja|klar|sicher|okay|ok)\b/i,
      answers: [
        'Ich verstehe. Können Sie noch etwas mehr sagen?',
        'Sie scheinen sich sicher zu sein. Warum?',
      ],
    },
    {
      pattern: /^(?:nein|nö|nicht)(?=\W|$)/i,
      answers: ['Warum nicht?', 'Das klingt ein wenig ablehnend. Was steckt dahinter?'],
    },
    {
      pattern: /\?\s*$/,
      answers: [
        'Was denken Sie selbst?',
        'Warum beschäftigt Sie diese Frage?',
        'Welche Antwort wäre Ihnen die liebste?',
      ],
    },
    {
      pattern: /(?:)/,
      answers: [
        'Bitte sprechen Sie weiter, ich höre zu.',
        'Erzählen Sie mir mehr davon.',
        'Ich verstehe. Und was sagt Ihnen das?',
        'Wie fühlen Sie sich dabei?',
        'Das ist interessant. Können Sie ein Beispiel nennen?',
      ],
    },
  ],
};
