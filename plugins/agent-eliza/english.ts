import type { Script } from './script.js';

export const english: Script = {
  marks: new Set(
    'the a an i you he she it we they is are was am my your do does what why how who when where hello hi hey please thanks thank yes no not and or can could would should have has feel think want need because'.split(
      ' ',
    ),
  ),
  demoNotice:
    'A demonstration, not a model: none could be reached. To let one answer, start Ollama (`ollama serve`, `ollama pull llama3.2`) or say with OLLAMA_HOST where it runs.',
  reflections: {
    i: 'you',
    me: 'you',
    my: 'your',
    mine: 'yours',
    myself: 'yourself',
    am: 'are',
    "i'm": 'you are',
    "i've": 'you have',
    was: 'were',
    you: 'I',
    your: 'my',
    yours: 'mine',
    yourself: 'myself',
    "you're": 'I am',
  },
  rules: [
    {
      pattern: /\b(hello|hi|hey|good (?:morning|afternoon|evening))\b/i,
      answers: [
        'Hello! How are you feeling today?',
        'Hi there. What would you like to talk about?',
        'Hello, nice to hear from you. What is on your mind?',
      ],
    },
    {
      pattern: /\b(?:bye|goodbye|good night|see you)\b/i,
      answers: ['Goodbye. It was good to talk to you.', 'Take care of yourself. Until next time!'],
    },
    {
      pattern: /\bthank(?:s| you)\b/i,
      answers: ['You are welcome. Is there something else?', 'Gladly. What else shall we look at?'],
    },
    {
      pattern: /\bsorry\b/i,
      answers: ['Please do not apologise.', 'There is no need to be sorry. Go on, please.'],
    },
    {
      pattern: /\bi need (.+)/i,
      answers: [
        'Why do you need $1?',
        'Would it really help you to get $1?',
        'What would change if you had $1?',
      ],
    },
    {
      pattern: /\bi want (.+)/i,
      answers: [
        'What would it mean to you to get $1?',
        'Why do you want $1?',
        'Suppose you got $1. What then?',
      ],
    },
    {
      pattern: /\bi (?:can't|cannot|can not) (.+)/i,
      answers: [
        'What makes you think that you cannot $1?',
        'Have you tried to $1?',
        'What would help you to $1?',
      ],
    },
    {
      pattern: /\bi feel (.+)/i,
      answers: ['Tell me more about feeling $1.', 'Do you often feel $1?', 'When do you usually feel $1?'],
    },
    {
      pattern: /\b(?:i am|i'm) (.+)/i,
      answers: [
        'How long have you been $1?',
        'Do you believe it is normal to be $1?',
        'How does being $1 feel to you?',
      ],
    },
    {
      pattern: /\bi (?:think|believe|guess) (?:that )?(.+)/i,
      answers: ['Do you really think that $1?', 'What makes you believe that $1?', 'Are you sure that $1?'],
    },
    {
      pattern: /\bmy (mother|father|sister|brother|family|wife|husband|son|daughter|parents|friends?) ?(.*)/i,
      answers: [
        'Tell me more about your $1.',
        'How do you get along with your $1?',
        'What comes to mind when you think of your $1?',
      ],
    },
    {
      pattern: /\bmy (.+)/i,
      answers: ['Why is your $1 important to you?', 'What else can you tell me about your $1?'],
    },
    {
      pattern: /\bbecause (.+)/i,
      answers: [
        'Is that the real reason?',
        'What other reasons come to mind?',
        'Would that explain other things, too?',
      ],
    },
    {
      pattern: /\b(?:are you|you are|you're) (.+)/i,
      answers: [
        'Why does it matter to you whether I am $1?',
        'Perhaps I am $1. What do you think?',
        'Would you like me to be $1?',
      ],
    },
    {
      pattern: /\bwho are you\b|\bwhat are you\b/i,
      answers: [
        'I am Eliza, a small program that answers while no language model is connected. And who are you?',
      ],
    },
    {
      pattern: /\b(?:can|could|would) you (.+)/i,
      answers: ['Suppose I did $1. What would you do then?', 'What would it mean to you if I could $1?'],
    },
    {
      pattern: /\b(computer|machine|program|model|robot|ai)s?\b/i,
      answers: [
        'Do you worry about machines?',
        'What do you think of talking to a $1?',
        'What do you expect a $1 to do for you?',
      ],
    },
    {
      pattern: /\b(always|never|everybody|everyone|nobody)\b/i,
      answers: ['Really, $1?', 'Can you think of an exception?', 'What example comes to mind?'],
    },
    {
      pattern: /^(?:yes|yeah|sure|ok(?:ay)?)\b/i,
      answers: ['I see. Can you say a little more?', 'You seem quite certain. Tell me why.'],
    },
    {
      pattern: /^(?:no|nope|not)\b/i,
      answers: ['Why not?', 'You sound a bit negative. What is behind that?'],
    },
    {
      pattern: /\bwhy (.+?)\?*$/i,
      answers: ['What do you think: why $1?', 'Why do you ask yourself that?'],
    },
    {
      pattern: /\?\s*$/,
      answers: [
        'What do you think yourself?',
        'Why does that question interest you?',
        'What answer would please you most?',
      ],
    },
    {
      pattern: /(?:)/,
      answers: [
        'Please go on, I am listening.',
        'Tell me more about that.',
        'I see. And what does that tell you?',
        'How does that make you feel?',
        'That is interesting. Can you give me an example?',
      ],
    },
  ],
};
