"""One OpenStack Swift node that speaks S3, durable, in one container: for the platform on one host."""
