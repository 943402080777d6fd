/**
 * The words of messages, and those of a title that its user has set under the negative id of the conversation. In the index
 * each word begins with its owner, so that a search passes only words of its own user, however many others have them. The
 * index has no copy of them and reads them through the view.
 */
export const searchSchema = `
  CREATE TABLE words (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    words TEXT NOT NULL
  );
  CREATE VIEW owned_words AS SELECT id, replace(' ' || words, ' ', ' ' || owner || '_') AS words FROM words;
  CREATE VIRTUAL TABLE search USING fts5(
    words, content = owned_words, content_rowid = id, detail = none, columnsize = 0, tokenize = "ascii tokenchars '_'"
  );
  INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
  -- Words of what was deleted, which are removed step by step: that takes longer than the rest of a deletion.
  CREATE TABLE removed (id INTEGER PRIMARY KEY);
  CREATE TRIGGER message_deleted AFTER DELETE ON messages BEGIN
    INSERT OR IGNORE INTO removed SELECT id FROM words WHERE id = old.id;
  END;
  CREATE TRIGGER conversation_deleted AFTER DELETE ON conversations BEGIN
    INSERT OR IGNORE INTO removed SELECT id FROM words WHERE id = -old.id;
  END;
  CREATE TRIGGER words_deleted BEFORE DELETE ON words BEGIN
    DELETE FROM search WHERE rowid = old.id;
    DELETE FROM removed WHERE id = old.id;
  END;
  -- The last message that is not searchable yet, while there are such.
  CREATE TABLE backlog (last INTEGER NOT NULL);
`;

/** Adds the tables of a search to a file that has messages already. */
export const migrateToSearch = `
  ${searchSchema}
  INSERT INTO backlog SELECT id FROM messages ORDER BY id DESC LIMIT 1;
`;
