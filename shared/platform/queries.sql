-- write_audit --
INSERT INTO audit_log (id, team_id, actor, action, target, before_sha256, after_sha256, correlation_id, reason)
VALUES (:id, :team, :actor, :action, :target, :before, :after, :correlation_id, :reason);

-- list_audit --
SELECT id, actor, action, target, reason, before_sha256, after_sha256, correlation_id, created_at FROM audit_log
 WHERE team_id = :team
   AND (:action::text IS NULL OR action = :action) AND (:actor::text IS NULL OR actor = :actor)
   AND (:target::text IS NULL OR target = :target)
   AND (:since::timestamptz IS NULL OR created_at >= :since)
   AND (:before::timestamptz IS NULL OR created_at < :before)
   AND (:after_at::timestamptz IS NULL OR (created_at, id) < (:after_at::timestamptz, :after_id::uuid))
 ORDER BY created_at DESC, id DESC LIMIT :most OFFSET :offset;
