//! Signed notes, their keys, checkpoints and cosignatures, as C2SP specifies them.

use avow::transparency::key::VerifierKey;
use avow::transparency::note::Note;

#[test]
fn the_note_of_the_specification_is_authenticated() {
    let key: VerifierKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
        .parse()
        .unwrap();
    let text = "This is an example message.\n\n— example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    let note = Note::parse(text.as_bytes()).unwrap();

    assert!(note.signature_by(&key).unwrap().is_some());
    assert_eq!(note.to_string(), text);
}
