//! Answers that end early are no damage and nobody else's.

use model::ErrorKind;
use store::{Area, StoreError};
use testkit::store::{Lag, Storm, Weather, content, meta};

use crate::{memory, opened};

/// Good weather but for what a test asks for.
fn fair() -> Weather {
    Weather::of(0, Lag::OfDeletions)
}

#[tokio::test]
async fn an_answer_that_ends_early_is_no_damage() {
    for seed in 0..20 {
        let storm = Storm::new(memory(), seed);
        let (_, vault) = opened(storm.process(1)).await;
        let meta = meta("20261120-daily", "a", 0);
        let manifest = vault.commit_content(&meta, &content(5)).await.unwrap();
        vault
            .put(Area::Reports, "r1", "report", "mine".into())
            .await
            .unwrap();
        storm.break_out(Weather {
            cut: 1000,
            ..fair()
        });
        for error in [
            vault.manifest(&meta.id).await.map(drop).unwrap_err(),
            vault.manifests().await.map(drop).unwrap_err(),
            vault.read(&manifest).await.map(drop).unwrap_err(),
            vault.keys(&manifest).await.map(drop).unwrap_err(),
            vault
                .get(Area::Reports, "r1", "report")
                .await
                .map(drop)
                .unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{seed}: {error:?}");
        }
        storm.calm().await;
        assert_eq!(vault.read(&manifest).await.unwrap(), content(5));
        assert_eq!(vault.manifest(&meta.id).await.unwrap(), manifest);
    }
}

#[tokio::test]
async fn an_own_file_is_known_again_where_reading_it_back_ends_early() {
    for seed in 0..20 {
        let storm = Storm::new(memory(), seed);
        let (_, vault) = opened(storm.process(1)).await;
        storm.break_out(Weather {
            lost: 1000,
            cut: 1000,
            ..fair()
        });
        let put = vault
            .put(Area::Restores, "r1", "journal/000001", "mine".into())
            .await;
        assert!(
            matches!(put, Err(StoreError::Unavailable { .. })),
            "{seed}: {put:?}"
        );
        storm.calm().await;
        let found = vault.get(Area::Restores, "r1", "journal/000001").await;
        assert_eq!(found.unwrap(), "mine");
    }
}
